//! The lab on the command line.

use std::{process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use lab::{Lab, check, images, status};

/// Three kind clusters, two Vaults, NATS and an EVM node for tests and the demo.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring up what isn't up
    Up,
    /// Remove all of it, also what a crash or a reboot left
    Down,
    /// Show what answers; exit code 1 unless all does
    Status {
        /// As a table or as JSON
        #[arg(short, long, default_value = "table")]
        output: Output,
    },
    /// Switch one part off, as listed by `status`
    Stop {
        /// Such as multisig-dc-a or nats
        part: String,
    },
    /// Switch it on again
    Start {
        /// Such as multisig-dc-a or nats
        part: String,
    },
    /// Build the workloads' images and load them into their clusters
    Images,
    /// Prove with restricted pods that volumes, names and network work
    Check,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let started = Instant::now();
    match command {
        Command::Up => {
            lab::up().await?;
            println!("lab: up ({} s)", started.elapsed().as_secs());
        }
        Command::Down => {
            lab::down().await?;
            println!("lab: down ({} s)", started.elapsed().as_secs());
        }
        Command::Status { output } => return show_status(output).await,
        Command::Stop { part } => Lab::exclusively(async |lab| lab.stop(&part).await).await?,
        Command::Start { part } => Lab::exclusively(async |lab| lab.start(&part).await).await?,
        Command::Images => {
            let images = Lab::exclusively(async |lab| {
                images::load(lab, &images::WORKLOADS).await?;
                Ok(lab.images.clone())
            });
            for image in images.await?.values() {
                println!("{} {:.1} MB", image.reference, image.size as f64 / 1e6);
            }
        }
        Command::Check => {
            for line in Lab::exclusively(check::run).await? {
                println!("{line}");
            }
            println!("lab: check ok ({} s)", started.elapsed().as_secs());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_status(output: Output) -> Result<ExitCode> {
    let parts = status::of(&Lab::load()?).await;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&parts)?),
        Output::Table => {
            for part in &parts {
                println!("{:<14} {:<5} {}", part.name, if part.up { "up" } else { "down" }, part.address);
            }
        }
    }
    Ok(if parts.iter().all(|part| part.up) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
