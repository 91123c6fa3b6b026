//! What is known of a payment, and the verdict that the rules add up to.

use std::fmt;

use chain::{Amount, ChainId, Effect, Refusal};
use custody::CustodyId;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use protocol::ops::Attestation;

use crate::{Policy, rules::Question};

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
    pub effect: &'a Effect,
    /// Highest fee of the transaction in the native coin's smallest unit, decoded from the same bytes.
    pub fee: Amount,
    /// What counts already, one amount per window of [`Policy::windows`], in that order; this payment not included.
    pub spent: &'a [Amount],
    /// When this signer first saw the destination on the local policy's list.
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
    /// Every local policy names the asset, with the same contract; a cancel needs the chain only.
    Asset,
    /// At most so much in one payment.
    PerTransaction,
    /// At most so much in a window.
    Windows,
    /// On the list of every local policy that has one; a cancel goes to a safe destination of the manifest. A safe destination
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
    /// Wanted by a signer of intents. An intent that is not needed must be right all the same where any local policy names
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

/// Said of a refusal that the present local policy alone would not give.
const WAITING: &str = "an earlier, stricter local policy still applies until its loosening delay has passed";

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
            Effect::Transfer { asset, .. } => self.windows(facts.chain, asset),
            Effect::Cancel { .. } | Effect::Change { .. } => &[],
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

/// Unix milliseconds for people, RFC 3339.
pub(crate) fn time(ms: u64) -> String {
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
