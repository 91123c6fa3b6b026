//! The form that all files of Project Wycheproof share.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{read, report};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite<G, C> {
    number_of_tests: usize,
    test_groups: Vec<Group<G, C>>,
}

/// Cases with something in common, `G`: a key, sizes.
#[derive(Deserialize)]
pub struct Group<G, C> {
    /// What is common.
    #[serde(flatten)]
    pub common: G,
    /// The cases.
    pub tests: Vec<Case<C>>,
}

/// One case with the inputs `C`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case<C> {
    /// Number in the file.
    pub tc_id: u32,
    /// What is tried.
    pub comment: String,
    /// Keys of the file's notes.
    pub flags: Vec<String>,
    /// What the authors expect.
    pub result: Verdict,
    /// The inputs.
    #[serde(flatten)]
    pub input: C,
}

/// What the authors expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// To be accepted.
    Valid,
    /// To be refused.
    Invalid,
    /// Either, as the standard leaves it open or is often ignored.
    Acceptable,
}

/// What our side said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, with the output of the file.
    Accepted,
    /// Refused.
    Refused,
    /// Not taken, valid as it may be, for a reason that we know.
    Narrower(&'static str),
}

/// How many cases ended how. All of them ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Valid and accepted.
    pub valid: usize,
    /// Invalid and refused.
    pub invalid: usize,
    /// Acceptable and accepted.
    pub acceptable_accepted: usize,
    /// Acceptable and refused.
    pub acceptable_refused: usize,
    /// Valid or acceptable, and not taken for this reason.
    pub narrower: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn total(&self) -> usize {
        let sure = self.valid + self.invalid + self.acceptable_accepted + self.acceptable_refused;
        sure + self.narrower.values().sum::<usize>()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run: {} valid accepted, {} invalid refused", self.total(), self.valid, self.invalid)?;
        if self.acceptable_accepted + self.acceptable_refused > 0 {
            let (accepted, refused) = (self.acceptable_accepted, self.acceptable_refused);
            write!(f, ", {accepted} acceptable accepted, {refused} acceptable refused")?;
        }
        self.narrower.iter().try_for_each(|(reason, count)| write!(f, ", {count} differ: {reason}"))
    }
}

/// Runs every case of `wycheproof/FILE` and compares what came of it with `expected`. `subject` is whose answers.
///
/// # Panics
/// When a verdict differs from the authors', or a count from the expected one.
pub fn run<G: DeserializeOwned, C: DeserializeOwned>(
    file: &str,
    subject: &str,
    expected: &Tally,
    mut answer: impl FnMut(&G, &Case<C>) -> Answer,
) {
    let suite: Suite<G, C> = read(&format!("wycheproof/{file}"));
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for group in &suite.test_groups {
        for case in &group.tests {
            let answer = answer(&group.common, case);
            match (case.result, answer) {
                (Verdict::Valid, Answer::Accepted) => tally.valid += 1,
                (Verdict::Invalid, Answer::Refused | Answer::Narrower(_)) => tally.invalid += 1,
                (Verdict::Acceptable, Answer::Accepted) => tally.acceptable_accepted += 1,
                (Verdict::Acceptable, Answer::Refused) => tally.acceptable_refused += 1,
                (Verdict::Valid | Verdict::Acceptable, Answer::Narrower(reason)) => {
                    *tally.narrower.entry(reason).or_default() += 1;
                }
                (result, _) => wrong.push(format!(
                    "case {} ({}, {}) is {result:?}, the answer was {answer:?}",
                    case.tc_id,
                    case.comment,
                    case.flags.join(" ")
                )),
            }
        }
    }
    report(subject, &format!("wycheproof/{file}: {} in the file, {tally}", suite.number_of_tests));
    assert!(wrong.is_empty(), "{subject}: {file}:\n{}", wrong.join("\n"));
    assert_eq!(tally.total(), suite.number_of_tests, "{subject}: {file}: cases that did not run");
    assert_eq!(&tally, expected, "{subject}: {file}: the counts have changed");
}
