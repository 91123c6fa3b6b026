//! What came of each attack: a table for people, a file for programs.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::refusals::NOBODY;

/// The domain whose credentials the attacker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Suite {
    /// The broker and everybody's connection keys.
    Broker,
    /// All that App has.
    App,
    /// A signer's files and backups, without its Vault.
    Database,
    /// The power switch.
    Crash,
}

impl Suite {
    /// All suites.
    pub(crate) const ALL: [Suite; 4] = [Suite::Broker, Suite::App, Suite::Database, Suite::Crash];
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Suite::Broker => "broker",
            Suite::App => "app",
            Suite::Database => "database",
            Suite::Crash => "crash",
        })
    }
}

/// One attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Whose credentials.
    pub(crate) suite: Suite,
    /// What was tried, in a few words.
    pub(crate) attack: String,
    /// Who refused it and for which reasons, or the part that noticed.
    pub(crate) refused_by: String,
    /// What has to refuse it. Absent where the attack itself has looked at each answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// What moved on the chain and no legitimate request explains, decimal, in the asset's smallest unit.
    pub(crate) moved: String,
    /// What the local policy lets such an attacker have at most, in the same unit; only of suite `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
}

impl Row {
    /// An attack that may move nothing.
    pub(crate) fn new(suite: Suite, attack: &str, refused_by: String, moved: u128) -> Self {
        let (attack, moved) = (attack.to_owned(), moved.to_string());
        Self { suite, attack, refused_by, expected: None, moved, limit: None }
    }

    /// Which has to be refused by these, for these reasons and no others.
    pub(crate) fn expecting(self, refusals: &str) -> Self {
        Self { expected: Some(refusals.to_owned()), ..self }
    }

    /// Which may move so much.
    pub(crate) fn within(self, limit: u128) -> Self {
        Self { limit: Some(limit.to_string()), ..self }
    }

    /// What has to refuse it did, and no more moved than the local policy allows; without a limit, nothing.
    fn held(&self) -> bool {
        let number = |text: &str| text.parse::<u128>().ok();
        let limit = self.limit.as_deref().map_or(Some(0), number);
        let bounded = number(&self.moved).zip(limit).is_some_and(|(moved, limit)| moved <= limit);
        let refused = self.refused_by != NOBODY && !self.refused_by.is_empty();
        bounded && refused && self.expected.as_ref().is_none_or(|expected| *expected == self.refused_by)
    }

    /// What is written behind a row that did not hold.
    fn failure(&self) -> String {
        match &self.expected {
            _ if self.held() => String::new(),
            Some(expected) if *expected != self.refused_by => format!("  <- FAILED, expected {expected}"),
            _ => "  <- FAILED".to_owned(),
        }
    }
}

/// The table, on standard output.
pub(crate) fn print(rows: &[Row]) {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default().max(10);
    let (attack, refused_by) = (width(|row| &row.attack), width(|row| &row.refused_by));
    println!("{:<9} {:<attack$} {:<refused_by$} {:>6} {:>6}", "suite", "attack", "refused by", "moved", "limit");
    for row in rows {
        let Row { suite, moved, limit, .. } = row;
        let (limit, failure) = (limit.as_deref().unwrap_or("-"), row.failure());
        let (what, who) = (&row.attack, &row.refused_by);
        println!("{suite:<9} {what:<attack$} {who:<refused_by$} {moved:>6} {limit:>6}{failure}");
    }
}

/// Writes the report, then says whether every attack was held.
pub(crate) fn write(rows: &[Row], file: &Path) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(rows)?;
    fs::write(file, text + "\n").with_context(|| format!("{} is not written", file.display()))?;
    let failed: Vec<&str> = rows.iter().filter(|row| !row.held()).map(|row| row.attack.as_str()).collect();
    ensure!(failed.is_empty(), "{} of {} attacks were not held: {}", failed.len(), rows.len(), failed.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(refused_by: &str, moved: u128) -> Row {
        Row::new(Suite::App, "any", refused_by.to_owned(), moved)
    }

    #[test]
    fn a_row_holds_when_something_refused_and_no_more_moved_than_the_limit() {
        assert!(row("keeper: OverLimit", 0).held());
        assert!(row("keeper: OverWindow", 100).within(100).held());
        assert!(!row("keeper: OverWindow", 101).within(100).held());
        assert!(!row("keeper: Replayed", 1).held());
        assert!(!row(NOBODY, 0).within(100).held());
        assert!(!Row { moved: "much".to_owned(), ..row("keeper: OverLimit", 0) }.within(100).held());
    }

    #[test]
    fn a_refusal_by_another_or_for_another_reason_is_none() {
        let expecting = |refused_by: &str| row(refused_by, 0).expecting("keeper: OverLimit; cooler: OverLimit");
        assert!(expecting("keeper: OverLimit; cooler: OverLimit").held());
        for other in ["keeper: OverLimit", "keeper: OverLimit; cooler: HotSignatureInvalid", "chain: GS026", NOBODY] {
            assert!(!expecting(other).held());
            assert!(expecting(other).failure().contains("expected keeper"));
        }
    }
}
