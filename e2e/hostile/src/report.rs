//! What came of each attack: a table for people, a file for programs.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::suite::NOBODY;

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
    /// What refused it: a stable reason, or the part that noticed.
    pub(crate) refused_by: String,
    /// What moved on the chain and no legitimate request explains, decimal, in the asset's smallest unit.
    pub(crate) moved: String,
    /// What the local policy lets such an attacker have at most, in the same unit; only of suite `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
}

impl Row {
    /// Something refused it, and no more moved than the local policy allows; without a limit, nothing.
    fn held(&self) -> bool {
        let number = |text: &str| text.parse::<u128>().ok();
        let limit = self.limit.as_deref().map_or(Some(0), number);
        let bounded = number(&self.moved).zip(limit).is_some_and(|(moved, limit)| moved <= limit);
        bounded && self.refused_by != NOBODY && !self.refused_by.is_empty()
    }
}

/// The table, on standard output.
pub(crate) fn print(rows: &[Row]) {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default().max(10);
    let (attack, refused_by) = (width(|row| &row.attack), width(|row| &row.refused_by));
    println!("{:<9} {:<attack$} {:<refused_by$} {:>6} {:>6}", "suite", "attack", "refused by", "moved", "limit");
    for row in rows {
        let Row { suite, moved, limit, .. } = row;
        let (limit, mark) = (limit.as_deref().unwrap_or("-"), if row.held() { "" } else { "  <- FAILED" });
        let (what, who) = (&row.attack, &row.refused_by);
        println!("{suite:<9} {what:<attack$} {who:<refused_by$} {moved:>6} {limit:>6}{mark}");
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

    #[test]
    fn a_row_holds_when_something_refused_and_no_more_moved_than_the_limit() {
        let row = |refused_by: &str, moved: &str, limit: Option<&str>| Row {
            suite: Suite::App,
            attack: "any".to_owned(),
            refused_by: refused_by.to_owned(),
            moved: moved.to_owned(),
            limit: limit.map(str::to_owned),
        };
        assert!(row("OverLimit", "0", None).held());
        assert!(row("OverWindow", "100", Some("100")).held());
        assert!(!row("OverWindow", "101", Some("100")).held());
        assert!(!row("Replayed", "1", None).held());
        assert!(!row(NOBODY, "0", Some("100")).held());
        assert!(!row("OverLimit", "much", Some("100")).held());
    }
}
