//! `make evac`: the rescue, proven by attack. Everybody's wallets are moved by the commands of `docs/runbooks/breach.md`
//! while a thief with the hot keys runs in front, the node limits rates and lags, and the broadcaster is killed; then very
//! many wallets are planned and signed without a chain. Writes `target/evac/report.json`, and ends with 1 and a sentence
//! where anything was otherwise than promised.

mod account;
mod assets;
mod broadcasts;
mod chain;
mod cooler;
mod miner;
mod narrate;
mod page;
mod place;
mod proof;
mod report;
mod rescue;
mod safe;
mod seeded;
mod shell;
mod sim;
mod thief;
mod told;
mod wallets;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Result;
use clap::Parser;
use data_center::RealVault;

use crate::{
    narrate::{act, chapter, say},
    page::Page,
    place::{Place, programs},
    rescue::rescue,
    sim::sim,
};

/// Moves every wallet while a thief runs in front, and measures very many wallets without a chain.
#[derive(Debug, Parser)]
struct Args {
    /// Wallets on the chain
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(40..=10_000))]
    wallets: u32,
    /// Wallets without a chain; 0: leave that out
    #[arg(long, default_value_t = 1_000_000)]
    sim: usize,
    /// Of keys and balances
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the report goes
    #[arg(long, default_value = "target/evac/report.json")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    harness::install_crypto();
    match play(&args).await {
        Ok(()) => {
            println!("\nevac: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nevac: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(args: &Args) -> Result<()> {
    let (repository, bin) = programs()?;
    let page = Page::read(&repository)?;
    let folder = tempfile::Builder::new().prefix("evac-").tempdir()?;
    chapter("Servers");
    let vault = Arc::new(act("a Vault", async { Ok(RealVault::start().await) }).await?);
    let place = Place { bin, page, folder: folder.path().to_owned(), vault, seed: args.seed };
    let done = measured(args, &place).await;
    if done.is_err() {
        // What everybody said stays, to be read.
        say(format!("the files of this run stay in {}", folder.keep().display()));
    }
    done
}

async fn measured(args: &Args, place: &Place) -> Result<()> {
    let mut report = rescue(place, args.wallets as usize).await?;
    place.page.is_all_run()?;
    report::write(&args.report, &report)?;
    if args.sim > 0 {
        report.sim = Some(sim(place, args.sim).await?);
        report::write(&args.report, &report)?;
    }
    say(format!("the report is in {}", args.report.display()));
    Ok(())
}
