//! `multisig cool ...`: Cooler's local commands, run in its pod with the rights of its data centre's admin. The hub has
//! no such rights, and none of this needs it.

mod exec;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use crate::{cluster::MemberArgs, failure::bad_input};

/// Larger than any plan of an evacuation; a wrong file is told from a right one by it.
const LARGEST_INPUT: u64 = 256 << 20;

/// Cooler's local commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CoolCommand {
    /// Bring the cool phrase, sealed to this Cooler by `multisig-paper cool seal`
    Import(WithInput),
    /// Print the wallet records (JSON), for an evacuation plan
    WalletsExport(WithoutInput),
    /// Let Cooler sign an evacuation plan; prints the bundle
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
                exec::run(&args.member.connect().await?, &["wallets", "export"], None).await
            }
        }
    }
}

impl WithInput {
    async fn run(self, words: &[&str]) -> Result<()> {
        let input = read(&self.file)?;
        exec::run(&self.member.connect().await?, words, Some(input)).await
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let wrong = |error: String| bad_input(format!("{}: {error}", file.display()));
    let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > LARGEST_INPUT {
        return Err(wrong(format!("{length} bytes are too many; is this the right file?")));
    }
    fs::read(path).map(Zeroizing::new).map_err(|error| wrong(error.to_string()))
}
