//! App: users' wallets and payments over HTTP; asks Keeper and Cooler for signatures over NATS.

mod app;
mod broker;
mod busy;
mod config;
mod domain;
mod health;
mod http;
mod identity;
mod jobs;
mod journal;
mod metrics;
mod payments;
mod run;
mod service;
mod signers;
mod store;
#[cfg(test)]
mod tests;
mod trust;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use chain_adapters::Adapters;
use clap::{Parser, Subcommand};
use custody::CustodyId;
use rand_core::OsRng;

use crate::{config::Settings, identity::AppKeys};

/// Users' wallets and payments over HTTP.
#[derive(Parser)]
#[command(name = "app", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make App's keys, once, and print their public halves with proof: for the hub and for each `member approve`
    Identity {
        /// Folder of the keys; made if it is not there
        #[arg(long)]
        dir: PathBuf,
        /// The custody that the proof is for
        #[arg(long)]
        custody_id: Option<CustodyId>,
    },
    /// Serve
    Run {
        /// The configuration (JSON)
        #[arg(long)]
        config: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Refused only when there is one already, which can't be at this point.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli.command {
        Command::Identity { dir, custody_id } => identity(&dir, custody_id),
        Command::Run { config } => serve(&config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("app: {}", format!("{error:#}").lines().map(str::trim).collect::<Vec<_>>().join("; "));
            ExitCode::FAILURE
        }
    }
}

fn identity(dir: &std::path::Path, custody_id: Option<CustodyId>) -> Result<()> {
    let keys = AppKeys::load_or_make(dir, &mut OsRng)?;
    println!("{}", serde_json::to_string_pretty(&keys.identity(custody_id))?);
    Ok(())
}

async fn serve(config: &std::path::Path) -> Result<()> {
    workload::telemetry::for_process();
    run::run(Settings::load(config, &Adapters::all())?).await
}
