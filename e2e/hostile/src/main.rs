//! `make hostile`: every attack of every suite, a table, and `target/hostile/report.json`.

mod app;
mod broker;
mod report;
mod suite;
mod world;

use std::path::PathBuf;

use anyhow::{Result, bail};
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
    /// Where the report goes.
    #[arg(long, default_value = "target/hostile/report.json")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Line { suites, points, report } = Line::parse();
    let suites = if suites.is_empty() { vec![Suite::Broker, Suite::App] } else { suites };
    let mut rows = Vec::new();
    for suite in suites {
        rows.extend(match suite {
            Suite::Broker => broker::run().await?,
            Suite::App => app::run().await?,
            Suite::Database => bail!("suite database is not part of this build"),
            Suite::Crash => bail!("suite crash with {points} points is not part of this build"),
        });
    }
    report::print(&rows);
    report::write(&rows, &report)
}
