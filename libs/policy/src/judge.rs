//! The verdict that the rules add up to.

use chain::Refusal;

use crate::{Facts, Outcome, Policy, Rule, question::Question};

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
        /// Until when it can be signed, Unix milliseconds; with no time above: when its announcement lapsed, 0 if there
        /// was none.
        lapses_at_ms: u64,
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

/// Said of a refusal that the present local policy alone would not give.
const WAITING: &str = "an earlier, stricter local policy still applies until its loosening delay has passed";

impl Policy {
    /// The first refusal; else the time to wait for; else allowed.
    pub fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let mut verdict = Verdict::Allowed { intent: None };
        for rule in Rule::ALL {
            match (self.apply(rule, facts), &mut verdict) {
                (Outcome::Refuses(refusal), _) => return Verdict::Refused(refusal),
                (Outcome::Waits { not_before_ms, lapses_at_ms }, _) => {
                    verdict = Verdict::Pending { not_before_ms, lapses_at_ms }
                }
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
        let question = |policy| Question { policy, counted: &self.effective, facts };
        let outcome = question(&self.effective).apply(rule);
        match outcome {
            Outcome::Refuses(Refusal { reason, message }) => {
                let present = question(&self.present).apply(rule);
                let waiting = !matches!(present, Outcome::Refuses(_));
                let message = if waiting { format!("{message}; {WAITING}") } else { message };
                Outcome::Refuses(Refusal { reason, message })
            }
            other => other,
        }
    }
}
