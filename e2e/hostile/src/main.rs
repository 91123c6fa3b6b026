//! `make hostile`: every attack of every suite, a table, and `target/hostile/report.json`.

mod app;
mod broker;
mod crash;
mod database;
mod files;
mod killable;
mod refusals;
mod report;
mod stolen;
mod suite;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use report::Suite;

/// Attacks with the real credentials of each domain, against real servers. Ends with 1 if any was not held.
#[derive(Debug, Parser)]
struct Line {
    /// The suites to run; all, if none is named.
    suites: Vec<Suite>,
    /// Kills of suite crash.
    #[arg(long, default_value_t = 200)]
    points: usize,
    /// Of the random times at which suite crash kills; printed with a failure.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the report goes.
    #[arg(long, default_value = "target/hostile/report.json")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Line { suites, points, seed, report } = Line::parse();
    let suites = if suites.is_empty() { Suite::ALL.to_vec() } else { suites };
    let mut rows = Vec::new();
    for suite in suites {
        rows.extend(match suite {
            Suite::Broker => broker::run().await?,
            Suite::App => app::run().await?,
            Suite::Database => database::run().await?,
            Suite::Crash => crash::run(points, seed).await?,
        });
    }
    report::print(&rows);
    report::write(&rows, &report)
}
