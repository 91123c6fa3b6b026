//! Each rule, asked of one policy.

use chain::{Amount, Effect, Refusal};
use custody::local_policy::OperationKind;
use protocol::{attestation, ops::PaymentIntent};

use crate::{
    Facts, Outcome, Rule, Scope, Window,
    effective::{AssetPolicy, ChainPolicy, Effective},
    judge::time,
};

/// A payment before a policy.
pub(crate) struct Question<'a> {
    pub(crate) policy: &'a Effective,
    /// The windows that [`Facts::spent`] is counted for.
    pub(crate) counted: &'a [Window],
    pub(crate) facts: &'a Facts<'a>,
}

/// A transfer of an asset that the policy names.
struct Transfer<'a> {
    chain: &'a ChainPolicy,
    limits: &'a AssetPolicy,
    asset: &'a str,
    to: &'a str,
    amount: Amount,
}

impl<'a> Question<'a> {
    /// What the rule says.
    pub(crate) fn apply(&self, rule: Rule) -> Outcome {
        match rule {
            Rule::Kind => self.kind(),
            Rule::Asset => self.asset(),
            Rule::Fee => self.fee(),
            Rule::Veto => self.veto(),
            Rule::PerTransaction => self.of_transfer(Self::per_transaction),
            Rule::Windows => self.of_transfer(Self::windows),
            Rule::Destination => match self.facts.effect {
                Effect::Change { .. } => Outcome::Unneeded("nothing leaves the wallet"),
                Effect::Cancel { to } => self.safe_destination(to),
                Effect::Transfer { .. } => self.of_transfer(Self::destination),
            },
            Rule::Cooling => self.of_transfer(Self::cooling),
            Rule::TimeLock => self.of_transfer(Self::time_lock),
            Rule::Intent => match self.facts.effect {
                Effect::Cancel { .. } | Effect::Change { .. } => self.cancel_intent(),
                Effect::Transfer { .. } => self.of_transfer(Self::intent),
            },
        }
    }

    fn of_transfer(&self, rule: fn(&Self, Transfer<'_>) -> Outcome) -> Outcome {
        let Effect::Transfer { asset, to, amount } = self.facts.effect else {
            return Outcome::Unneeded("a cancel moves nothing");
        };
        let known = self.chain().and_then(|chain| Some((chain, chain.assets.get(asset)?)));
        match known {
            Some((chain, limits)) => rule(self, Transfer { chain, limits, asset, to, amount: *amount }),
            None => Outcome::Unneeded("the asset does not move at all"),
        }
    }

    fn chain(&self) -> Option<&'a ChainPolicy> {
        self.policy.chains.get(self.facts.chain)
    }

    fn kind(&self) -> Outcome {
        let kind = match self.facts.effect {
            Effect::Transfer { .. } => OperationKind::Transfer,
            Effect::Cancel { .. } | Effect::Change { .. } => OperationKind::Cancel,
        };
        if self.policy.kinds.contains(&kind) {
            return Outcome::Kept(format!("{kind:?} is signed here"));
        }
        refuses("KindNotAllowed", format!("the local policy does not name {kind:?} among the kinds that are signed"))
    }

    fn asset(&self) -> Outcome {
        let chain = self.facts.chain;
        match (self.chain(), self.facts.effect) {
            (None, _) => refuses("ChainNotAllowed", format!("localPolicy names no asset on {chain}")),
            (Some(_), Effect::Cancel { .. } | Effect::Change { .. }) => {
                Outcome::Kept(format!("the local policy names {chain}"))
            }
            (Some(policy), Effect::Transfer { asset, .. }) if policy.assets.contains_key(asset) => {
                Outcome::Kept(format!("the local policy names {asset} on {chain}"))
            }
            (Some(_), Effect::Transfer { asset, .. }) => {
                refuses("AssetNotAllowed", format!("the local policy does not name {asset} on {chain}"))
            }
        }
    }

    fn per_transaction(&self, Transfer { limits, asset, amount, .. }: Transfer<'_>) -> Outcome {
        let (chain, limit) = (self.facts.chain, limits.per_transaction);
        if amount <= limit {
            return Outcome::Kept(format!("{amount} is at most {limit}"));
        }
        refuses("OverLimit", format!("{amount} of {asset} on {chain} is more than {limit} for one transaction"))
    }

    fn windows(&self, Transfer { limits, asset, amount, .. }: Transfer<'_>) -> Outcome {
        if self.facts.spent.len() != self.counted.len() {
            let (given, wanted) = (self.facts.spent.len(), self.counted.len());
            return refuses("SpentUnknown", format!("{given} amounts were counted for {wanted} windows of {asset}"));
        }
        let mut kept = Vec::new();
        for window in &limits.windows {
            // None: more is spent already than the limit.
            let left = self.spent(window).and_then(|spent| window.limit.checked_sub(spent));
            let Window { scope, length_ms, limit } = window;
            let whose = match scope {
                Scope::Wallet => "this wallet",
                Scope::Total => "all wallets",
            };
            let rest =
                format!("the {} left of {limit} in {} s for {whose}", left.unwrap_or_default(), length_ms / 1000);
            if left.is_none_or(|left| amount > left) {
                let chain = self.facts.chain;
                return refuses("OverWindow", format!("{amount} of {asset} on {chain} is more than {rest}"));
            }
            kept.push(format!("{amount} fits into {rest}"));
        }
        if kept.is_empty() {
            return Outcome::Unneeded("no rolling limit of this asset");
        }
        Outcome::Kept(kept.join("; "))
    }

    /// What counts already in the window of this scope and length.
    fn spent(&self, window: &Window) -> Option<Amount> {
        let same = |counted: &Window| (counted.scope, counted.length_ms) == (window.scope, window.length_ms);
        self.counted.iter().position(same).and_then(|at| self.facts.spent.get(at)).copied()
    }

    fn safe_destination(&self, to: &str) -> Outcome {
        if self.chain().is_some_and(|chain| chain.safe.contains(to)) {
            return Outcome::Kept(format!("{to} is a safe destination of the manifest"));
        }
        let chain = self.facts.chain;
        let message = format!("a cancel goes to a safe destination of the manifest; {to} is not one on {chain}");
        refuses("NotASafeDestination", message)
    }

    fn destination(&self, Transfer { chain, to, .. }: Transfer<'_>) -> Outcome {
        let Some(destinations) = &chain.destinations else {
            return Outcome::Unneeded("the local policy has no list of destinations");
        };
        if destinations.allow.contains(to) {
            return Outcome::Kept(format!("{to} is on the local policy's list"));
        }
        let chain = self.facts.chain;
        refuses("DestinationNotAllowed", format!("{to} on {chain} is not on the local policy's list of destinations"))
    }

    fn cooling(&self, Transfer { chain, to, .. }: Transfer<'_>) -> Outcome {
        let cooling = chain.destinations.as_ref().filter(|list| list.cooling_ms > 0 && list.allow.contains(to));
        let Some(cooling_ms) = cooling.map(|list| list.cooling_ms) else {
            return Outcome::Unneeded("no cooling time");
        };
        let cooled_at = self.facts.listed_since_ms.and_then(|since| since.checked_add(cooling_ms));
        match cooled_at {
            Some(at) if self.facts.now_ms >= at => Outcome::Kept(format!("{to} may be paid since {}", time(at))),
            Some(at) => refuses(
                "DestinationCooling",
                format!("{to} is new on the local policy's list: it may be paid from {} on", time(at)),
            ),
            None => {
                let message = format!(
                    "{to} is on the local policy's list, but it is not yet known here since when; ask again later"
                );
                refuses("DestinationCooling", message)
            }
        }
    }

    fn fee(&self) -> Outcome {
        let Some(chain) = self.chain() else {
            return Outcome::Unneeded("the chain is not used at all");
        };
        let (fee, ceiling, chain) = (self.facts.fee, chain.fee, self.facts.chain);
        if fee <= ceiling {
            return Outcome::Kept(format!("a fee of {fee} is at most {ceiling}"));
        }
        refuses("FeeTooHigh", format!("a fee of {fee} on {chain} is more than {ceiling}, the local policy's highest"))
    }

    fn veto(&self) -> Outcome {
        if self.facts.vetoed {
            return refuses("Vetoed", "the data centre's admin vetoed this transaction");
        }
        Outcome::Kept("no veto".to_owned())
    }

    fn time_lock(&self, Transfer { limits, amount, .. }: Transfer<'_>) -> Outcome {
        let delays = limits.time_locks.iter().filter(|(above, _)| amount > *above).map(|(_, delay)| *delay);
        let Some(delay) = delays.max() else {
            return Outcome::Unneeded("not above the time lock's amount");
        };
        let Some(announced) = self.facts.announced_ms else {
            return Outcome::Waits { not_before_ms: 0 };
        };
        match announced.checked_add(delay) {
            Some(end) if self.facts.now_ms >= end => Outcome::Kept(format!("it waited until {}", time(end))),
            Some(not_before_ms) => Outcome::Waits { not_before_ms },
            None => refuses("TimeLockOutOfRange", "announced at an impossible time; announce it again"),
        }
    }

    fn cancel_intent(&self) -> Outcome {
        match (&self.policy.intent_signers, self.facts.intent) {
            (Some(_), Some(_)) => refuses("IntentMismatch", "a cancel pays nothing; send it without an intent"),
            _ => Outcome::Unneeded("a cancel moves nothing"),
        }
    }

    fn intent(&self, transfer: Transfer<'_>) -> Outcome {
        let above = transfer.limits.intent_above.filter(|above| transfer.amount > *above);
        match (self.facts.intent, above, &self.policy.intent_signers) {
            (None, None, _) => Outcome::Unneeded("not above the amount that needs an intent"),
            (None, Some(above), _) => {
                let Transfer { asset, amount, .. } = transfer;
                let message =
                    format!("{amount} of {asset} is more than {above} and needs an intent by an intent signer");
                refuses("IntentMissing", message)
            }
            (Some(_), None, None) => Outcome::Unneeded("the local policy names no intent signers"),
            (Some(_), Some(_), None) => refuses("IntentNotBelieved", "the local policy names no intent signers"),
            (Some(intent), _, Some(signers)) => match attestation::payment_intent(intent, signers) {
                Err(error) => refuses("IntentNotBelieved", error.to_string()),
                Ok(intent) => self.fits(&intent, &transfer),
            },
        }
    }

    fn fits(&self, intent: &PaymentIntent, Transfer { asset, to, amount, .. }: &Transfer<'_>) -> Outcome {
        let Facts { custody_id, wallet, chain, now_ms, .. } = self.facts;
        let fields = [
            ("custody_id", intent.custody_id == custody_id.as_bytes()),
            ("wallet", intent.wallet == *wallet),
            ("chain", intent.chain == chain.as_str()),
            ("asset", intent.asset == *asset),
            ("to", intent.to == *to),
            ("amount", intent.amount == amount.to_string()),
        ];
        let wrong: Vec<_> = fields.into_iter().filter(|(_, fits)| !fits).map(|(field, _)| field).collect();
        let id = <[u8; 16]>::try_from(intent.id.as_slice());
        match id {
            _ if !wrong.is_empty() => {
                refuses("IntentMismatch", format!("the intent is for another payment: {} differ", wrong.join(", ")))
            }
            Err(_) => refuses("IntentMismatch", "the intent's id is not 16 bytes"),
            Ok(_) if *now_ms > intent.expires_at_ms => {
                refuses("IntentExpired", format!("the intent expired at {}", time(intent.expires_at_ms)))
            }
            Ok(id) => Outcome::Intended(id),
        }
    }
}

fn refuses(reason: &'static str, message: impl Into<String>) -> Outcome {
    Outcome::Refuses(Refusal { reason, message: message.into() })
}
