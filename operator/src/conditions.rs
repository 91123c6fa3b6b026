//! Findings, and how they become the conditions of a status. Pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use multisig_api::conditions::reason;

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be seen.
    Unknown,
}

impl Status {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        }
    }

    /// 1, 0 and -1: for a gauge.
    pub fn as_number(text: &str) -> i64 {
        match text {
            "True" => 1,
            "False" => 0,
            _ => -1,
        }
    }
}

/// What was found out about one condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Finding {
    /// Whether the condition holds.
    pub status: Status,
    /// One of [`multisig_api::conditions::reason`].
    pub reason: &'static str,
    /// For people: what is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// It holds.
    pub fn good(message: impl Into<String>) -> Self {
        Self { status: Status::True, reason: reason::AS_EXPECTED, message: message.into() }
    }

    /// It does not hold.
    pub fn bad(reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::False, reason, message: message.into() }
    }

    /// It could not be seen.
    pub fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Unknown, reason, message: message.into() }
    }

    /// Whether the condition holds.
    pub fn is_good(&self) -> bool {
        self.status == Status::True
    }

    /// The same, saying whom it is about.
    pub fn about(mut self, whom: impl std::fmt::Display) -> Self {
        self.message = format!("{whom}: {}", self.message);
        self
    }

    /// The most telling of several: the first that does not hold, else the first unknown, else `good`.
    pub fn worst(findings: impl IntoIterator<Item = Finding>, good: &str) -> Self {
        let mut unknown = None;
        for finding in findings {
            match finding.status {
                Status::False => return finding,
                Status::Unknown => {
                    unknown.get_or_insert(finding);
                }
                Status::True => {}
            }
        }
        unknown.unwrap_or_else(|| Self::good(good))
    }
}

/// A condition that changed its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its type.
    pub condition: &'static str,
    /// Its status until now, if it had one.
    pub from: Option<String>,
    /// What it is now.
    pub to: Finding,
}

/// The conditions for these findings, in their order: what stays the same keeps its time, so that an unchanged
/// status is written byte for byte as it was.
pub fn merge(
    previous: &[Condition],
    findings: &[(&'static str, Finding)],
    generation: Option<i64>,
    now: Timestamp,
) -> (Vec<Condition>, Vec<Transition>) {
    // Kubernetes keeps whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut transitions = Vec::new();
    let conditions = findings
        .iter()
        .map(|(condition, finding)| {
            let before = previous.iter().find(|before| before.type_ == *condition);
            let since = match before {
                Some(before) if before.status == finding.status.as_str() => before.last_transition_time.clone(),
                _ => {
                    let from = before.map(|before| before.status.clone());
                    transitions.push(Transition { condition, from, to: finding.clone() });
                    Time(now)
                }
            };
            Condition {
                type_: (*condition).to_owned(),
                status: finding.status.as_str().to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message.clone(),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect();
    (conditions, transitions)
}

/// A condition by its type.
pub fn find<'a>(conditions: &'a [Condition], condition: &str) -> Option<&'a Condition> {
    conditions.iter().find(|found| found.type_ == condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time_and_one_that_changes_gets_the_present() {
        let first = [("Ready", Finding::bad("X", "no")), ("Synced", Finding::good("yes"))];
        let (before, transitions) = merge(&[], &first, Some(1), at(100));
        assert_eq!(transitions.len(), 2);
        let second = [("Ready", Finding::good("now")), ("Synced", Finding::good("still"))];
        let (after, transitions) = merge(&before, &second, Some(2), at(200));
        assert_eq!(after[0].last_transition_time.0, at(200));
        assert_eq!(after[1].last_transition_time.0, at(100));
        assert_eq!(transitions.len(), 1);
        assert_eq!(transitions[0].condition, "Ready");
        assert_eq!(transitions[0].from.as_deref(), Some("False"));
    }

    #[test]
    fn the_same_findings_give_the_same_conditions_at_any_time() {
        let findings = [("Ready", Finding::good("yes"))];
        let (before, _) = merge(&[], &findings, Some(1), at(100));
        let (after, transitions) = merge(&before, &findings, Some(1), at(900));
        assert_eq!(before, after);
        assert!(transitions.is_empty());
    }

    #[test]
    fn false_is_worse_than_unknown_which_is_worse_than_true() {
        let (good, bad, unknown) = (Finding::good("g"), Finding::bad("B", "b"), Finding::unknown("U", "u"));
        let worst = Finding::worst([good.clone(), unknown.clone(), bad.clone()], "all");
        assert_eq!(worst, bad);
        assert_eq!(Finding::worst([good.clone(), unknown.clone()], "all"), unknown);
        assert_eq!(Finding::worst([good], "all"), Finding::good("all"));
    }
}
