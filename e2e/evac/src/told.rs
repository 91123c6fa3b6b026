//! What our programs tell in JSON, as far as it is needed: everything else is read from the chain.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// What the last broadcast says of an asset of a wallet that did not move: wallet and symbol to the reason.
pub(crate) fn not_moved(report: &Path) -> Result<BTreeMap<(String, String), String>> {
    let text = fs::read(report).with_context(|| format!("cannot read {}", report.display()))?;
    let report: Value = serde_json::from_slice(&text).context("the broadcast's report is no JSON")?;
    let lines = report["wallets"].as_array().context("the broadcast's report has no wallets")?;
    let done = |line: &&Value| ["executed", "alreadyExecuted"].iter().all(|status| line["status"] != **status);
    let words = |line: &Value, member: &str| line[member].as_str().unwrap_or_default().to_owned();
    Ok(lines
        .iter()
        .filter(done)
        .map(|line| ((words(line, "id"), words(line, "asset")), words(line, "message")))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_move_has_the_reason_that_was_given() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let report = r#"{"wallets":[{"id":"a","asset":"ETH","status":"executed"},
            {"id":"a","asset":"LIAR","status":"failed","message":"it moved nothing"}]}"#;
        fs::write(file.path(), report).unwrap();
        let expected = [(("a".to_owned(), "LIAR".to_owned()), "it moved nothing".to_owned())];
        assert_eq!(not_moved(file.path()).unwrap(), expected.into());
        fs::write(file.path(), "{}").unwrap();
        assert!(not_moved(file.path()).is_err());
    }
}
