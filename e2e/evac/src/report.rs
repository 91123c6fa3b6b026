//! `target/evac/report.json`, and what people read of it.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// The report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) wallets: usize,
    pub(crate) moved: Moved,
    pub(crate) front_run: FrontRun,
    /// Counted from the first broadcast on, until so much of the value had arrived.
    pub(crate) blocks: Blocks,
    /// Of all transactions of the float, those that a thief has spoilt too.
    pub(crate) gas_per_wallet: u64,
    pub(crate) kills: usize,
    pub(crate) not_moved: Vec<NotMoved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sim: Option<Sim>,
    /// By which values are counted.
    pub(crate) prices: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moved {
    /// Of what was movable at the freeze: what is at the safe destination, or with whom hot and cool paid before it.
    pub(crate) value_percent: f64,
    /// Wallets of which nothing movable is left.
    pub(crate) wallets: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FrontRun {
    /// Wallets in which the thief was faster with a payment.
    pub(crate) wallets: usize,
    /// Of those, in which something movable is neither at the safe destination nor with whom hot and cool had paid before the
    /// freeze.
    pub(crate) lost: usize,
    /// Wallets beside those that he has created in front of us.
    pub(crate) created: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Blocks {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p100: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotMoved {
    pub(crate) reason: String,
    pub(crate) wallets: usize,
    /// By the prices, in their currency.
    pub(crate) value: f64,
}

/// A million wallets without a chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sim {
    pub(crate) wallets: usize,
    pub(crate) plan_seconds: f64,
    pub(crate) cool_seconds: f64,
    pub(crate) cold_seconds: f64,
    pub(crate) plan_bytes: u64,
    /// The larger of the signature files.
    pub(crate) signature_bytes: u64,
    /// The highest of all these processes.
    #[serde(rename = "rssMiB")]
    pub(crate) rss_mib: u64,
}

/// Two decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Writes it.
pub(crate) fn write(file: &Path, report: &impl Serialize) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(report)?;
    fs::write(file, text + "\n").with_context(|| format!("{} is not written", file.display()))
}
