//! The narrated main job in the lab: every role is played with its own credentials, through the project's own commands,
//! charts and images. Ends with `demo: ok` and `target/demo/report.json`.

mod evacuate;
mod narrate;
mod pay;
mod place;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use lab::Lab;
use playbook::Commands;
use serde_json::{Value, json};

use crate::narrate::{chapter, say};

/// Plays the main job on three kind clusters and writes target/demo/report.json.
#[derive(Parser)]
struct Args {
    /// Leave lab and chain up afterwards; `make lab-down` removes them.
    #[arg(long)]
    keep: bool,
}

/// What each part of the demo found out, for the report.
#[derive(Default)]
struct Report {
    clusters: Value,
    chain: Value,
    wallet: Value,
    payment: Value,
    evacuation: Value,
    refused: Vec<Value>,
}

impl Report {
    /// Something that was really tried, and the words with which it was refused.
    fn refused(&mut self, what: &str, why: &str) {
        let why = why.trim();
        say(&format!("refused, as it must be: {what}: {why}"));
        self.refused.push(json!({"what": what, "why": why}));
    }

    fn json(&self) -> Value {
        json!({
            "clusters": self.clusters,
            "chain": self.chain,
            "wallet": self.wallet,
            "payment": self.payment,
            "evacuation": self.evacuation,
            "refused": self.refused,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    harness::install_crypto();
    let played = play().await;
    let removed = if args.keep || (played.is_err() && std::env::var_os("CI").is_none()) {
        say("lab and chain keep running; `make lab-down` removes them");
        Ok(())
    } else {
        lab::down().await
    };
    match played.and(removed) {
        Ok(()) => {
            println!("demo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<()> {
    let folder = harness::servers::repository().join("target/demo");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut report = Report::default();

    chapter("Infrastructure: three kind clusters, two Vaults, NATS, an EVM node, and the images by digest");
    let commands = commands().await?;
    // The demo starts from a fresh lab.
    let played = lab::folder().join("played");
    if played.exists() {
        lab::down().await?;
    }
    lab::up().await?;
    fs::write(&played, "")?;
    Lab::exclusively(async |lab| lab::images::load(lab, &lab::images::WORKLOADS).await).await?;
    let lab = Lab::load()?;

    let placed = place::place(&lab, &commands, &folder, &mut report).await?;
    let wallet = pay::pay(&lab, &commands, &placed, &mut report).await?;
    evacuate::evacuate(&lab, &commands, &placed, &wallet, &mut report).await?;

    let path = folder.join("report.json");
    fs::write(&path, serde_json::to_vec_pretty(&report.json())?)?;
    say("the report is in target/demo/report.json");
    Ok(())
}

/// Builds the command lines that people use, as they would.
async fn commands() -> Result<Commands> {
    let repository = harness::servers::repository();
    let built = tokio::process::Command::new("cargo")
        .args("build --quiet --locked -p multisig -p multisig-paper -p app".split(' '))
        .current_dir(&repository)
        .status()
        .await?;
    anyhow::ensure!(built.success(), "the command lines can't be built");
    // Beside this binary, whatever the target folder is.
    let bin: PathBuf = std::env::current_exe()?.parent().context("a binary is in a folder")?.to_owned();
    Ok(Commands { bin, helm: harness::servers::path("helm")?.join("helm") })
}
