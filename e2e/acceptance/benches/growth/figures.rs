//! The table for people and `target/bench/growth.json` for machines.

use std::{fs, path::Path, time::Duration};

use serde_json::{Map, Value, json};

use crate::{AT_ONCE, Error, milliseconds};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<Row>,
}

/// With so many wallets. Pairs are median and 99th percentile, ms.
pub(crate) struct Row {
    pub(crate) wallets: usize,
    /// On the volume, each with one signature.
    pub(crate) bytes_per_wallet: f64,
    /// From opening the file to what a start looks at.
    pub(crate) start_ms: f64,
    pub(crate) check_ms: [f64; 2],
    pub(crate) sign_ms: [f64; 2],
    pub(crate) sign_at_once_ms: [f64; 2],
    pub(crate) per_second: f64,
    /// Written to the log for a signature, bytes.
    pub(crate) log_bytes: f64,
}

impl Figures {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn print(&self) {
        println!("\n                                  signatures one by one   {AT_ONCE} at once");
        println!(
            "{:>9} {:>8} {:>9} {:>9}  {:>9} {:>9}  {:>9} {:>9} {:>7} {:>8}",
            "wallets", "B each", "start ms", "check ms", "p50 ms", "p99 ms", "p50 ms", "p99 ms", "per s", "log B"
        );
        for row in &self.rows {
            let Row { wallets, bytes_per_wallet, start_ms, check_ms, sign_ms, sign_at_once_ms, per_second, log_bytes } =
                row;
            println!(
                "{wallets:>9} {bytes_per_wallet:>8.0} {start_ms:>9.2} {:>9.2}  {:>9.2} {:>9.2}  {:>9.2} {:>9.2} \
                 {per_second:>7.0} {log_bytes:>8.0}",
                check_ms[0], sign_ms[0], sign_ms[1], sign_at_once_ms[0], sign_at_once_ms[1]
            );
        }
    }

    pub(crate) fn write(&self) -> Result<(), Error> {
        let mut report = Map::new();
        for row in &self.rows {
            let Row { wallets, bytes_per_wallet, start_ms, check_ms, sign_ms, sign_at_once_ms, per_second, log_bytes } =
                row;
            let pair = |[p50, p99]: &[f64; 2]| json!({"p50": rounded(*p50), "p99": rounded(*p99)});
            report.insert(
                wallets.to_string(),
                json!({
                    "bytes_per_wallet": rounded(*bytes_per_wallet),
                    "start_ms": rounded(*start_ms),
                    "check_ms": pair(check_ms),
                    "sign_ms_c1": pair(sign_ms),
                    "sign_ms_c16": pair(sign_at_once_ms),
                    "signatures_per_s_c16": rounded(*per_second),
                    "wal_bytes_per_signature": rounded(*log_bytes),
                }),
            );
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("growth.json"), serde_json::to_string_pretty(&Value::Object(report))? + "\n")?;
        println!("written to target/bench/growth.json");
        Ok(())
    }
}

/// `percent` of them took no longer, ms.
pub(crate) fn percentile(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort();
    let at = latencies.len().saturating_sub(1) * percent / 100;
    latencies.get(at).copied().map_or(0.0, milliseconds)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
