//! Each rule, asked of one policy.

use std::collections::BTreeSet;

use chain::{Amount, Effect};
use custody::local_policy::OperationKind;
use protocol::{attestation, ops::PaymentIntent};

use crate::{
    Facts, Outcome, Payees, Rule, Scope, Window,
    effective::{AssetPolicy, ChainPolicy, Effective, Limits},
    rules::{refuses, time, together},
};

const NO_ASSET: &str = "the asset does not move at all";
const MOVES_NOTHING: &str = "a cancel moves nothing";

/// A payment before a policy.
pub(crate) struct Question<'a> {
    pub(crate) policy: &'a Effective,
    /// The policy that [`Facts::spent`] is counted for.
    pub(crate) counted: &'a Effective,
    pub(crate) facts: &'a Facts<'a>,
}

/// All that a payment moves of an asset that the policy names.
#[derive(Clone, Copy)]
struct Moved<'a> {
    limits: &'a Limits,
    /// Of all kinds of payees.
    windows: &'a [Window],
    asset: &'a str,
    amount: Amount,
}

/// A transfer of an asset that the policy names.
#[derive(Clone, Copy)]
struct Transfer<'a> {
    chain: &'a ChainPolicy,
    moved: Moved<'a>,
    to: &'a str,
}

impl<'a> Question<'a> {
    /// What the rule says.
    pub(crate) fn apply(&self, rule: Rule) -> Outcome {
        match rule {
            Rule::Kind => self.kind(),
            Rule::Asset => self.asset(),
            Rule::Fee => self.fee(),
            Rule::Veto => self.veto(),
            Rule::PerTransaction => self.of_each_asset(self.facts.transaction.spent(), Self::per_transaction),
            Rule::Windows => self.of_each_asset(self.facts.transaction.spent(), Self::windows),
            Rule::TimeLock => self.time_lock(),
            Rule::Destination => self.destinations(),
            Rule::Cooling => {
                together(self.facts.transaction.transfers().map(|it| self.of(it, Self::cooling)), MOVES_NOTHING)
            }
            Rule::Intent => self.intents(),
        }
    }

    fn of_each_asset(
        &self,
        sums: Option<impl IntoIterator<Item = (&'a str, Amount)>>,
        rule: fn(&Self, Moved<'_>) -> Outcome,
    ) -> Outcome {
        let Some(sums) = sums else {
            return refuses("OverLimit", "the amounts of this transaction add up to more than 256 bits");
        };
        let asked = sums.into_iter().map(|(asset, amount)| match self.limits(asset) {
            Some((_, policy)) => {
                let limits = policy.limits(self.facts.payees());
                rule(self, Moved { limits: &limits, windows: &policy.windows, asset, amount })
            }
            None => Outcome::Unneeded(NO_ASSET),
        });
        together(asked, MOVES_NOTHING)
    }

    fn of(&self, transfer: (&'a str, &'a str, Amount), rule: fn(&Self, Transfer<'_>) -> Outcome) -> Outcome {
        let (asset, to, amount) = transfer;
        match self.limits(asset) {
            Some((chain, policy)) => {
                let limits = policy.limits(self.facts.payees());
                let moved = Moved { limits: &limits, windows: &policy.windows, asset, amount };
                rule(self, Transfer { chain, moved, to })
            }
            None => Outcome::Unneeded(NO_ASSET),
        }
    }

    fn chain(&self) -> Option<&'a ChainPolicy> {
        self.policy.chains.get(self.facts.chain)
    }

    fn limits(&self, asset: &str) -> Option<(&'a ChainPolicy, &'a AssetPolicy)> {
        let chain = self.chain()?;
        Some((chain, chain.assets.get(asset)?))
    }

    fn kind(&self) -> Outcome {
        let kind = if self.facts.transaction.is_cancel() { OperationKind::Cancel } else { OperationKind::Transfer };
        if self.policy.kinds.contains(&kind) {
            return Outcome::Kept(format!("{kind:?} is signed here"));
        }
        refuses("KindNotAllowed", format!("the local policy does not name {kind:?} among the kinds that are signed"))
    }

    /// Of a fee too, where the wallet pays it: its limits would otherwise not be known.
    fn asset(&self) -> Outcome {
        let (chain, transaction) = (self.facts.chain, self.facts.transaction);
        let Some(policy) = self.chain() else {
            return refuses("ChainNotAllowed", format!("the local policy names no asset on {chain}"));
        };
        let transferred = transaction.transfers().map(|(asset, _, _)| asset);
        let moving: BTreeSet<&str> = transferred.chain(transaction.own_fee().map(|(asset, _)| asset)).collect();
        if moving.is_empty() {
            return Outcome::Kept(format!("the local policy names {chain}"));
        }
        let named = moving.into_iter().map(|asset| match policy.assets.contains_key(asset) {
            true => Outcome::Kept(format!("the local policy names {asset} on {chain}")),
            false => refuses("AssetNotAllowed", format!("the local policy does not name {asset} on {chain}")),
        });
        together(named, MOVES_NOTHING)
    }

    fn per_transaction(&self, Moved { limits, asset, amount, .. }: Moved<'_>) -> Outcome {
        let (chain, limit) = (self.facts.chain, limits.per_transaction);
        if amount <= limit {
            return Outcome::Kept(format!("{amount} is at most {limit}"));
        }
        refuses("OverLimit", format!("{amount} of {asset} on {chain} is more than {limit} for one transaction"))
    }

    fn windows(&self, Moved { windows, asset, amount, .. }: Moved<'_>) -> Outcome {
        let counted = self.counted.asset(self.facts.chain, asset).map_or(&[][..], |asset| &asset.windows);
        let spent = self.facts.spent.get(asset).map_or(&[][..], Vec::as_slice);
        if spent.len() != counted.len() {
            let (given, wanted) = (spent.len(), counted.len());
            return refuses("SpentUnknown", format!("{given} amounts were counted for {wanted} windows of {asset}"));
        }
        let (mut kept, payees) = (Vec::new(), self.facts.payees());
        let concerned = |window: &&Window| [window.payees, payees].contains(&Payees::All) || window.payees == payees;
        for window in windows.iter().filter(concerned) {
            // None: more is spent already than the limit.
            let left = spent_in(window, counted, spent).and_then(|spent| window.limit.checked_sub(spent));
            let Window { scope, length_ms, payees, limit } = window;
            let whose = match scope {
                Scope::Wallet => "this wallet",
                Scope::Total => "all wallets",
            };
            let of = match payees {
                Payees::All => "",
                Payees::External => " to addresses outside this custody",
                Payees::Internal => " to wallets of this custody",
            };
            let rest =
                format!("the {} left of {limit} in {} s for {whose}{of}", left.unwrap_or_default(), length_ms / 1000);
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

    /// That change goes nowhere else is the adapter's promise.
    fn destinations(&self) -> Outcome {
        let asked = self.facts.transaction.effects.iter().map(|effect| match effect {
            Effect::Change { .. } => Outcome::Unneeded("change stays in the wallet"),
            Effect::Cancel { to } => self.safe_destination(to),
            Effect::Transfer { asset, to, amount } => self.of((asset, to, *amount), Self::destination),
        });
        together(asked, MOVES_NOTHING)
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
        if destinations.internal && self.facts.internal.contains(to) {
            return Outcome::Kept(format!("{to} is a wallet of this custody"));
        }
        let chain = self.facts.chain;
        refuses("DestinationNotAllowed", format!("{to} on {chain} is not on the local policy's list of destinations"))
    }

    fn cooling(&self, Transfer { chain, to, .. }: Transfer<'_>) -> Outcome {
        let cooling = chain.destinations.as_ref().filter(|list| list.cooling_ms > 0 && list.allow.contains(to));
        let Some(cooling_ms) = cooling.map(|list| list.cooling_ms) else {
            return Outcome::Unneeded("no cooling time");
        };
        let cooled_at = self.facts.listed_since_ms.get(to).and_then(|since| since.checked_add(cooling_ms));
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
        let (fee, ceiling, chain) = (self.facts.transaction.fee.most, chain.fee, self.facts.chain);
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

    /// The longest of the delays holds, and the shortest of the times in which it can then be signed.
    fn time_lock(&self) -> Outcome {
        let Some(paid) = self.facts.transaction.paid() else {
            return refuses("OverLimit", "the amounts of this transaction add up to more than 256 bits");
        };
        let (mut lock, mut moves) = (None, false);
        for (asset, amount) in paid {
            moves = true;
            let Some((_, policy)) = self.limits(asset) else { continue };
            let limits = policy.limits(self.facts.payees());
            let delays = limits.time_locks.iter().filter(|(above, _)| amount > *above).map(|(_, delay)| *delay);
            if let Some(delay) = delays.max() {
                let (longest, shortest) = lock.unwrap_or((delay, limits.lapse_ms));
                lock = Some((delay.max(longest), limits.lapse_ms.min(shortest)));
            }
        }
        match lock {
            Some((delay, lapse)) => self.waited(delay, lapse),
            None if moves => Outcome::Unneeded("not above the time lock's amount"),
            None => Outcome::Unneeded(MOVES_NOTHING),
        }
    }

    fn waited(&self, delay: u64, lapse: u64) -> Outcome {
        let Some(announced) = self.facts.announced_ms else {
            return Outcome::Waits { not_before_ms: 0, lapses_at_ms: 0 };
        };
        let Some(end) = announced.checked_add(delay) else {
            return refuses("TimeLockOutOfRange", "announced at an impossible time; announce it again");
        };
        let lapses_at_ms = end.saturating_add(lapse);
        match self.facts.now_ms {
            now if now < end => Outcome::Waits { not_before_ms: end, lapses_at_ms },
            now if now < lapses_at_ms => Outcome::Kept(format!("it waited until {}", time(end))),
            _ => Outcome::Waits { not_before_ms: 0, lapses_at_ms },
        }
    }

    /// An intent is for one transfer.
    fn intents(&self) -> Outcome {
        let mut transfers = self.facts.transaction.transfers();
        match (transfers.next(), transfers.next()) {
            (None, _) => self.intent_for_none("a cancel pays nothing; send it without an intent", MOVES_NOTHING),
            (Some(one), None) => self.of(one, Self::intent),
            (Some(_), Some(_)) => {
                let needed = self.of_each_asset(self.facts.transaction.paid(), Self::intent_needed);
                let several = "an intent is for one transfer and this transaction makes several; send them one by one";
                match (&needed, self.facts.intent) {
                    (Outcome::Refuses(_), None) => needed,
                    (Outcome::Refuses(_), Some(_)) => refuses("IntentMismatch", several),
                    _ => self.intent_for_none(several, "not above the amount that needs an intent"),
                }
            }
        }
    }

    /// One that fits nothing is refused wherever it would be looked at.
    fn intent_for_none(&self, refusal: &str, unneeded: &'static str) -> Outcome {
        match (&self.policy.intent_signers, self.facts.intent) {
            (Some(_), Some(_)) => refuses("IntentMismatch", refusal),
            _ => Outcome::Unneeded(unneeded),
        }
    }

    fn intent_needed(&self, Moved { limits, asset, amount, .. }: Moved<'_>) -> Outcome {
        match limits.intent_above.filter(|above| amount > *above) {
            None => Outcome::Unneeded("not above the amount that needs an intent"),
            Some(above) => {
                let message =
                    format!("{amount} of {asset} is more than {above} and needs an intent by an intent signer");
                refuses("IntentMissing", message)
            }
        }
    }

    fn intent(&self, transfer: Transfer<'_>) -> Outcome {
        let needed = self.intent_needed(transfer.moved);
        match (self.facts.intent, &needed, &self.policy.intent_signers) {
            (None, ..) => needed,
            (Some(_), Outcome::Refuses(_), None) => {
                refuses("IntentNotBelieved", "the local policy names no intent signers")
            }
            (Some(_), _, None) => Outcome::Unneeded("the local policy names no intent signers"),
            (Some(intent), _, Some(signers)) => match attestation::payment_intent(intent, signers) {
                Err(error) => refuses("IntentNotBelieved", error.to_string()),
                Ok(intent) => self.fits(&intent, &transfer),
            },
        }
    }

    fn fits(&self, intent: &PaymentIntent, Transfer { moved, to, .. }: &Transfer<'_>) -> Outcome {
        let Moved { asset, amount, .. } = moved;
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

/// What counts already in the window of this scope and length.
fn spent_in(window: &Window, counted: &[Window], spent: &[Amount]) -> Option<Amount> {
    let of = |window: &Window| (window.scope, window.length_ms, window.payees);
    let same = |counted: &Window| of(counted) == of(window);
    counted.iter().position(same).and_then(|at| spent.get(at)).copied()
}
