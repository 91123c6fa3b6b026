//! App: users' wallets and payments over HTTP; asks Keeper and Cooler for signatures over NATS.

mod app;
mod backup;
mod broker;
mod busy;
mod callers;
mod calls;
mod commands;
mod config;
mod domain;
mod heads;
mod health;
mod http;
mod identity;
mod jobs;
mod journal;
mod metrics;
mod payments;
mod recovery;
mod run;
mod service;
mod signers;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod trust;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::Result;
use chain_adapters::Adapters;
use clap::{Parser, Subcommand};
use custody::CustodyId;
use rand_core::OsRng;
use serde::Serialize;

use crate::{
    callers::{Callers, Token},
    config::Settings,
    domain::{CallerName, Scope},
    identity::AppKeys,
};

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
    /// Write a backup of App's database and keys, sealed to a key whose private half is on paper; App may run meanwhile
    Backup {
        /// The configuration (JSON)
        #[arg(long)]
        config: PathBuf,
        /// The key that `multisig-paper backup key` printed, X...
        #[arg(long)]
        to: String,
        /// The new file; `-`: standard output
        #[arg(long)]
        out: PathBuf,
    },
    /// Put a backup's files into a folder that holds none of them, and begin a new epoch; the backup phrase is read from
    /// standard input
    Restore {
        /// The backup
        #[arg(long = "in", value_name = "FILE")]
        backup: PathBuf,
        /// The folder: the database's, or one from which the keys are taken to where they belong
        #[arg(long)]
        dir: PathBuf,
    },
    /// Open a backup, and say what is in it; the backup phrase is read from standard input. Nothing is left behind
    Verify {
        /// The backup
        #[arg(long = "in", value_name = "FILE")]
        backup: PathBuf,
        /// A folder with room for what is in it, for a moment
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        room: PathBuf,
    },
    /// Make a caller's token, and print it, once, with its line for the callers' file
    Token {
        /// The caller: 1 to 64 of a-z, 0-9 and '-'. Idempotency keys are each caller's own
        #[arg(long)]
        name: CallerName,
        /// What the caller may do: read, wallets, pay
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
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
        Command::Backup { config, to, out } => commands::backup(&config, &to, &out).await,
        Command::Restore { backup, dir } => commands::restore(&backup, &dir),
        Command::Verify { backup, room } => commands::verify(&backup, &room),
        Command::Token { name, scopes } => token(&name, scopes.into_iter().collect()),
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

/// Nothing is stored: the line goes into the callers' file, the token to the caller.
fn token(name: &CallerName, scopes: BTreeSet<Scope>) -> Result<()> {
    let token = Token::random(&mut OsRng);
    let shown = TokenView { token: token.as_str(), line: Callers::line(name, &scopes, &token.hash()) };
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

/// What `app token` prints.
#[derive(Serialize)]
struct TokenView<'a> {
    /// For the caller; it is nowhere else.
    token: &'a str,
    /// For the callers' file.
    line: String,
}

async fn serve(config: &std::path::Path) -> Result<()> {
    workload::telemetry::for_process();
    run::run(Settings::load(config, &Adapters::all())?).await
}
