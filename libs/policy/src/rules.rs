//! The rules by name, and what each says.

use std::fmt;

use chain::Refusal;
use data_encoding::HEXLOWER;
use jiff::Timestamp;

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
        /// See [`Verdict::Pending`].
        lapses_at_ms: u64,
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
    /// Announced for long enough, and not too long ago.
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
            Outcome::Waits { not_before_ms: 0, lapses_at_ms: 0 } => f.write_str("waits: announce it"),
            Outcome::Waits { not_before_ms: 0, lapses_at_ms } => {
                write!(f, "waits: its announcement lapsed at {}; announce it again", time(*lapses_at_ms))
            }
            Outcome::Waits { not_before_ms, .. } => write!(f, "waits until {}", time(*not_before_ms)),
            Outcome::Refuses(refusal) => write!(f, "refuses: {refusal}"),
        }
    }
}

/// A refusal with its stable reason.
pub(crate) fn refuses(reason: &'static str, message: impl Into<String>) -> Outcome {
    Outcome::Refuses(Refusal { reason, message: message.into() })
}

/// What a rule says of several things that it was asked of: the first that decides, else all that is kept. `nothing`:
/// there was none.
pub(crate) fn together(outcomes: impl IntoIterator<Item = Outcome>, nothing: &'static str) -> Outcome {
    let (mut kept, mut unneeded) = (Vec::new(), None);
    for outcome in outcomes {
        match outcome {
            Outcome::Kept(how) => kept.push(how),
            Outcome::Unneeded(why) => unneeded = unneeded.or(Some(why)),
            decided @ (Outcome::Refuses(_) | Outcome::Intended(_) | Outcome::Waits { .. }) => return decided,
        }
    }
    if kept.is_empty() { Outcome::Unneeded(unneeded.unwrap_or(nothing)) } else { Outcome::Kept(kept.join("; ")) }
}
