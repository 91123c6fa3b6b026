//! The table for people and `target/bench/sign.json` for machines.

use std::{collections::BTreeMap, fs, time::Duration};

use acceptance::load::Run;
use anyhow::{Context, Result};
use serde_json::json;

/// All runs, by what was asked and under which load.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<Row>,
}

struct Row {
    what: &'static str,
    load: &'static str,
    rate: f64,
    p50: f64,
    p99: f64,
    cpu: Option<f64>,
}

impl Figures {
    pub(crate) fn add(&mut self, what: &'static str, load: &'static str, run: Run, cpu: Option<Duration>) {
        let (rate, p50, p99) = (run.rate(), run.percentile(50), run.percentile(99));
        let cpu = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / run.signatures as f64);
        eprintln!("bench-sign: {load} {what}: {rate:.0}/s");
        self.rows.push(Row { what, load, rate, p50, p99, cpu });
    }

    fn row(&self, what: &str, load: &str) -> Result<&Row> {
        self.rows.iter().find(|row| row.what == what && row.load == load).context("a run is missing")
    }

    /// Rates count signatures (echoes: round trips); latencies are of requests.
    pub(crate) fn print(&self) {
        println!("{:<10} {:<16} {:>9} {:>9} {:>9} {:>12}", "load", "what", "per s", "p50 ms", "p99 ms", "CPU us each");
        for Row { what, load, rate, p50, p99, cpu } in &self.rows {
            let cpu = cpu.map_or(String::new(), |cpu| format!("{cpu:.0}"));
            println!("{load:<10} {what:<16} {rate:>9.0} {p50:>9.2} {p99:>9.2} {cpu:>12}");
        }
        for load in ["c1", "c16", "c64", "batch100"] {
            if let Ok(ratio) = self.ratio(load) {
                println!("keeper to vault transit, {load}: {ratio:.2}");
            }
        }
    }

    fn ratio(&self, load: &str) -> Result<f64> {
        Ok(self.row("keeper", load)?.rate / self.row("vault transit", load)?.rate)
    }

    /// Of Keeper's path.
    pub(crate) fn write(&self) -> Result<()> {
        let loads = ["c1", "c16", "c64", "batch100"];
        let each = |value: &dyn Fn(&str) -> Result<f64>| -> Result<BTreeMap<&str, f64>> {
            loads.into_iter().map(|load| Ok((load, rounded(value(load)?)))).collect()
        };
        let cpu = self.row("keeper", "c64")?.cpu.context("Keeper's CPU was measured")?;
        let report = json!({
            "ratio_to_transit": each(&|load| self.ratio(load))?,
            "p50_ms": each(&|load| Ok(self.row("keeper", load)?.p50))?,
            "p99_ms": each(&|load| Ok(self.row("keeper", load)?.p99))?,
            "cpu_us_per_signature": rounded(cpu),
        });
        let folder = harness::servers::repository().join("target/bench");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("sign.json"), serde_json::to_string_pretty(&report)? + "\n")?;
        println!("written to target/bench/sign.json");
        Ok(())
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
