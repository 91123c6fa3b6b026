//! Offline command line for the cold and cool stations. Links no network crate.

mod assets;
mod backup;
mod ceremony;
mod cool;
mod evac;
mod files;
mod inspect;
mod phrase_prompt;
mod quiet;

use std::process::ExitCode;

use chain::{KeyRole, Refusal};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;

/// The offline tools of a custody: run them on machines without a network, one at the cold station, one at the cool station.
///
/// Phrases are read only from standard input, and only public data is written to files. No file is ever overwritten,
/// except that signing adds a signature to the manifest.
#[derive(Parser)]
#[command(name = "multisig-paper", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Format of the result on standard output.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused (one line on standard error says why; with `-o json` a refused \
                          transaction is a result on standard output), 2 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Make the cool and cold phrases and the custody manifest.
    #[command(subcommand)]
    Ceremony(ceremony::Command),
    /// Seal the cool phrase for Cooler.
    #[command(subcommand)]
    Cool(cool::Command),
    /// Make the key that App's backups are sealed to.
    #[command(subcommand)]
    Backup(backup::Command),
    /// Sign an evacuation.
    #[command(subcommand)]
    Evac(evac::Command),
    /// Show auditors what a signer computes and decodes.
    #[command(subcommand)]
    Chain(inspect::Command),
}

/// Format of the result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// The two stations of a custody.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Station {
    /// Its phrase is on paper and in Cooler.
    Cool,
    /// Its phrase is on paper only.
    Cold,
}

impl From<Station> for KeyRole {
    fn from(station: Station) -> Self {
        match station {
            Station::Cool => KeyRole::Cool,
            Station::Cold => KeyRole::Cold,
        }
    }
}

fn main() -> ExitCode {
    let Cli { command, output } = Cli::parse();
    let done = match command {
        Command::Ceremony(command) => ceremony::run(command, output),
        Command::Cool(command) => cool::run(command, output),
        Command::Backup(command) => backup::run(command, output),
        Command::Evac(command) => evac::run(command, output),
        Command::Chain(command) => inspect::run(command, output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            refuse(&error, output);
            ExitCode::FAILURE
        }
    }
}

/// A transaction that is refused is a result, which scripts read where they read the others.
fn refuse(error: &anyhow::Error, output: Output) {
    match error.downcast_ref() {
        Some(Refusal { reason, message }) if output == Output::Json => {
            println!("{}", json!({"refused": reason, "message": message}));
        }
        _ => eprintln!("error: {}", one_line(&format!("{error:#}"))),
    }
}

/// Errors repeat what stood in files: nothing of it may move the cursor of a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
