//! The rules, one by one, and the verdict that they add up to.

use std::fmt;

use chain::{Amount, ChainId, Intent, Refusal};
use custody::{CustodyId, trust::OperationKind};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use protocol::{
    attestation,
    ops::{Attestation, PaymentIntent},
};

use crate::{
    Policy, Scope, Window,
    effective::{AssetPolicy, ChainPolicy, Effective},
};

/// What is known of a payment when it is judged. Times are Unix milliseconds of the signer's clock.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Now.
    pub now_ms: u64,
    /// The custody served here.
    pub custody_id: CustodyId,
    /// [`custody::WalletId`] of the paying wallet.
    pub wallet: &'a str,
    /// Where it pays.
    pub chain: &'a ChainId,
    /// Decoded from the bytes to be signed; destination in display form.
    pub effect: &'a Intent,
    /// Highest fee of the transaction in the native coin's smallest unit, decoded from the same bytes.
    pub fee: Amount,
    /// What counts already, one amount per window of [`Policy::windows`], in that order; this payment not included.
    pub spent: &'a [Amount],
    /// When this signer first saw the destination on the floor's list.
    pub listed_since_ms: Option<u64>,
    /// Somebody's wish that this be paid; nobody has verified it yet.
    pub intent: Option<&'a Attestation>,
    /// When this very digest was announced.
    pub announced_ms: Option<u64>,
    /// Whether the data centre's admin vetoed this digest.
    pub vetoed: bool,
}

/// May it be signed?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    Allowed {
        /// Id of the intent that was verified: good for one digest, which the store sees to.
        intent: Option<[u8; 16]>,
    },
    /// Not yet. Never stored as a result.
    Pending {
        /// When, Unix milliseconds; 0: its time lock has not begun, announce it.
        not_before_ms: u64,
    },
    /// No.
    Refused(Refusal),
}

/// A rule with what it says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// What it says.
    pub outcome: Outcome,
}

/// What a rule says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept; in words for people.
    Kept(String),
    /// It is kept by the verified intent of this id.
    Intended([u8; 16]),
    /// It has nothing to say here; why, for people.
    Unneeded(&'static str),
    /// The payment waits; see [`Verdict::Pending`].
    Waits {
        /// See [`Verdict::Pending`].
        not_before_ms: u64,
    },
    /// It is broken.
    Refuses(Refusal),
}

/// The rules, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The operation's kind is signed here.
    Kind,
    /// Every floor names the asset, with the same contract; a cancel needs the chain only.
    Asset,
    /// At most so much in one payment.
    PerTransaction,
    /// At most so much in a window.
    Windows,
    /// On the list of every floor that has one; a cancel goes to a safe destination of the manifest. A safe destination
    /// that is not on the lists is none for a payment.
    Destination,
    /// On the list for long enough.
    Cooling,
    /// The fee is not higher than the ceiling; a cancel's neither.
    Fee,
    /// The admin did not veto this digest: of any kind, whether it is locked or not.
    Veto,
    /// Announced for long enough.
    TimeLock,
    /// Wanted by a signer of intents. An intent that is not needed must be right all the same where any floor names
    /// signers; where none does it is not looked at.
    Intent,
}

impl Rule {
    /// All rules in their order.
    pub const ALL: [Rule; 10] = [
        Rule::Kind,
        Rule::Asset,
        Rule::PerTransaction,
        Rule::Windows,
        Rule::Destination,
        Rule::Cooling,
        Rule::Fee,
        Rule::Veto,
        Rule::TimeLock,
        Rule::Intent,
    ];

    /// Stable name, camelCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Kind => "kind",
            Rule::Asset => "asset",
            Rule::PerTransaction => "perTransaction",
            Rule::Windows => "windows",
            Rule::Destination => "destination",
            Rule::Cooling => "cooling",
            Rule::Fee => "fee",
            Rule::Veto => "veto",
            Rule::TimeLock => "timeLock",
            Rule::Intent => "intent",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Said of a refusal that the present floor alone would not give.
const WAITING: &str = "an earlier, stricter floor still holds until its loosening delay has passed";

impl Policy {
    /// The first refusal; else the time to wait for; else allowed.
    pub fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::Allowed { intent: None };
        for rule in Rule::ALL {
            match (self.apply(rule, facts), &mut verdict) {
                (Outcome::Refuses(refusal), _) => return Verdict::Refused(refusal),
                (Outcome::Waits { not_before_ms }, _) => verdict = Verdict::Pending { not_before_ms },
                (Outcome::Intended(id), Verdict::Allowed { intent }) => *intent = Some(id),
                _ => {}
            }
        }
        verdict
    }

    /// The same rules one by one, for people.
    pub fn explain(&self, facts: &Facts<'_>) -> Vec<Finding> {
        Rule::ALL.into_iter().map(|rule| Finding { rule, outcome: self.apply(rule, facts) }).collect()
    }

    fn apply(&self, rule: Rule, facts: &Facts<'_>) -> Outcome {
        let counted = match facts.effect {
            Intent::Transfer { asset, .. } => self.windows(facts.chain, asset),
            Intent::Cancel { .. } => &[],
        };
        let outcome = Question { policy: &self.effective, counted, facts }.apply(rule);
        match outcome {
            Outcome::Refuses(Refusal { reason, message }) => {
                let present = Question { policy: &self.present, counted, facts }.apply(rule);
                let waiting = !matches!(present, Outcome::Refuses(_));
                let message = if waiting { format!("{message}; {WAITING}") } else { message };
                Outcome::Refuses(Refusal { reason, message })
            }
            other => other,
        }
    }
}

/// A payment before a policy.
struct Question<'a> {
    policy: &'a Effective,
    /// The windows that [`Facts::spent`] is counted for.
    counted: &'a [Window],
    facts: &'a Facts<'a>,
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
    fn apply(&self, rule: Rule) -> Outcome {
        match rule {
            Rule::Kind => self.kind(),
            Rule::Asset => self.asset(),
            Rule::Fee => self.fee(),
            Rule::Veto => self.veto(),
            Rule::PerTransaction => self.of_transfer(Self::per_transaction),
            Rule::Windows => self.of_transfer(Self::windows),
            Rule::Destination => match self.facts.effect {
                Intent::Cancel { to } => self.safe_destination(to),
                Intent::Transfer { .. } => self.of_transfer(Self::destination),
            },
            Rule::Cooling => self.of_transfer(Self::cooling),
            Rule::TimeLock => self.of_transfer(Self::time_lock),
            Rule::Intent => match self.facts.effect {
                Intent::Cancel { .. } => self.cancel_intent(),
                Intent::Transfer { .. } => self.of_transfer(Self::intent),
            },
        }
    }

    fn of_transfer(&self, rule: fn(&Self, Transfer<'_>) -> Outcome) -> Outcome {
        let Intent::Transfer { asset, to, amount } = self.facts.effect else {
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
            Intent::Transfer { .. } => OperationKind::Transfer,
            Intent::Cancel { .. } => OperationKind::Cancel,
        };
        if self.policy.kinds.contains(&kind) {
            return Outcome::Kept(format!("{kind:?} is signed here"));
        }
        refuses("KindNotAllowed", format!("the floor does not name {kind:?} among the kinds that are signed"))
    }

    fn asset(&self) -> Outcome {
        let chain = self.facts.chain;
        match (self.chain(), self.facts.effect) {
            (None, _) => refuses("ChainNotAllowed", format!("the floor names no asset on {chain}")),
            (Some(_), Intent::Cancel { .. }) => Outcome::Kept(format!("the floor names {chain}")),
            (Some(policy), Intent::Transfer { asset, .. }) if policy.assets.contains_key(asset) => {
                Outcome::Kept(format!("the floor names {asset} on {chain}"))
            }
            (Some(_), Intent::Transfer { asset, .. }) => {
                refuses("AssetNotAllowed", format!("the floor does not name {asset} on {chain}"))
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
            let same = |counted: &Window| (counted.scope, counted.length_ms) == (window.scope, window.length_ms);
            let spent = self.counted.iter().position(same).and_then(|at| self.facts.spent.get(at));
            let left = spent.map(|spent| window.limit.checked_sub(*spent).unwrap_or_default()).unwrap_or_default();
            let sum = spent.and_then(|spent| spent.checked_add(amount));
            let (seconds, limit) = (window.length_ms / 1000, window.limit);
            let whose = match window.scope {
                Scope::Wallet => "this wallet",
                Scope::Total => "all wallets",
            };
            if sum.is_none_or(|sum| sum > limit) {
                let chain = self.facts.chain;
                let message = format!(
                    "{amount} of {asset} on {chain} is more than the {left} left of {limit} in {seconds} s for {whose}"
                );
                return refuses("OverWindow", message);
            }
            kept.push(format!("{amount} fits into the {left} left of {limit} in {seconds} s for {whose}"));
        }
        if kept.is_empty() {
            return Outcome::Unneeded("no rolling limit of this asset");
        }
        Outcome::Kept(kept.join("; "))
    }

    fn safe_destination(&self, to: &str) -> Outcome {
        if self.chain().is_some_and(|chain| chain.safe.contains(to)) {
            return Outcome::Kept(format!("{to} is a safe destination of the manifest"));
        }
        let chain = self.facts.chain;
        let message = format!("a cancel goes to a safe destination of the manifest; {to} is none on {chain}");
        refuses("NotASafeDestination", message)
    }

    fn destination(&self, Transfer { chain, to, .. }: Transfer<'_>) -> Outcome {
        let Some(destinations) = &chain.destinations else {
            return Outcome::Unneeded("the floor has no list of destinations");
        };
        if destinations.allow.contains(to) {
            return Outcome::Kept(format!("{to} is on the floor's list"));
        }
        let chain = self.facts.chain;
        refuses("DestinationNotAllowed", format!("{to} on {chain} is not on the floor's list of destinations"))
    }

    fn cooling(&self, Transfer { chain, to, .. }: Transfer<'_>) -> Outcome {
        let cooling = chain.destinations.as_ref().filter(|list| list.cooling_ms > 0 && list.allow.contains(to));
        let Some(cooling_ms) = cooling.map(|list| list.cooling_ms) else {
            return Outcome::Unneeded("no cooling time");
        };
        let cooled_at = self.facts.listed_since_ms.and_then(|since| since.checked_add(cooling_ms));
        match cooled_at {
            Some(at) if self.facts.now_ms >= at => Outcome::Kept(format!("{to} is paid to since {}", time(at))),
            Some(at) => refuses(
                "DestinationCooling",
                format!("{to} is new on the floor's list: it is paid to from {} on", time(at)),
            ),
            None => {
                let message =
                    format!("{to} is on the floor's list, but since when is not known here yet; ask again later");
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
        refuses("FeeTooHigh", format!("a fee of {fee} on {chain} is more than {ceiling}, the floor's highest"))
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
            return Outcome::Unneeded("not so much that it waits");
        };
        let Some(announced) = self.facts.announced_ms else {
            return Outcome::Waits { not_before_ms: 0 };
        };
        match announced.checked_add(delay) {
            Some(end) if self.facts.now_ms >= end => Outcome::Kept(format!("it waited until {}", time(end))),
            Some(not_before_ms) => Outcome::Waits { not_before_ms },
            None => refuses("TimeLockOutOfRange", "announced at a time that no clock shows; announce it again"),
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
            (None, None, _) => Outcome::Unneeded("not so much that it needs an intent"),
            (None, Some(above), _) => {
                let Transfer { asset, amount, .. } = transfer;
                let message = format!("{amount} of {asset} is more than {above} and needs an intent of another signer");
                refuses("IntentMissing", message)
            }
            (Some(_), None, None) => Outcome::Unneeded("the floor names no signer of intents"),
            (Some(_), Some(_), None) => refuses("IntentNotBelieved", "the floor names no signer of intents"),
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

/// Unix milliseconds for people, RFC 3339.
fn time(ms: u64) -> String {
    let timestamp = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| format!("Unix {ms} ms"), |timestamp| timestamp.to_string())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Kept(how) => write!(f, "kept: {how}"),
            Outcome::Intended(id) => write!(f, "kept: intent {}", HEXLOWER.encode(id)),
            Outcome::Unneeded(why) => write!(f, "not needed: {why}"),
            Outcome::Waits { not_before_ms: 0 } => f.write_str("waits: announce it"),
            Outcome::Waits { not_before_ms } => write!(f, "waits until {}", time(*not_before_ms)),
            Outcome::Refuses(refusal) => write!(f, "refuses: {refusal}"),
        }
    }
}
