//! `multisig cool ...`: Cooler's local commands, run in its pod with the rights of the data centre admin. The hub has no
//! such rights and is not needed.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    cluster::MemberArgs,
    exec::{self, Signer},
    input,
};

/// Cooler's local commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CoolCommand {
    /// Import the cool phrase, sealed to this Cooler by `multisig-paper cool seal`
    Import(WithInput),
    /// Print the wallet records (JSON) for an evacuation plan
    WalletsExport(WithoutInput),
    /// Have Cooler sign an evacuation plan, and print the bundle
    EvacSign(WithInput),
}

#[derive(Debug, Args)]
pub(crate) struct WithInput {
    /// The file to send; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WithoutInput {
    #[command(flatten)]
    member: MemberArgs,
}

impl CoolCommand {
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            CoolCommand::Import(args) => args.run(&["import"]).await,
            CoolCommand::EvacSign(args) => args.run(&["evac", "sign"]).await,
            CoolCommand::WalletsExport(args) => {
                exec::run(&args.member.connect().await?, Signer::Cooler, &["wallets", "export"], None).await
            }
        }
    }
}

impl WithInput {
    async fn run(self, words: &[&str]) -> Result<()> {
        let input = input::read_for_pod(&self.file)?;
        exec::run(&self.member.connect().await?, Signer::Cooler, words, Some(input)).await
    }
}
