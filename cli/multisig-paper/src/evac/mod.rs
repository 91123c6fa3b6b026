//! An evacuation at a station.

mod bundle;
mod ladders;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use evacuation::stream::is_stream;

use crate::{Output, Station, files};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Recompute every address and digest, show what moves where, and sign with the phrase from standard input. Of a plan
    /// of version 2 the station first asks for the last eight digits of the manifest's digest, as they are on paper.
    Sign(Sign),
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The plan, or the bundle that the other station has signed.
    plan: PathBuf,
    /// The manifest, signed by both stations.
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Which station this is; cool if Cooler is lost and its phrase is typed from paper.
    #[arg(long, value_enum, default_value_t = Station::Cold)]
    role: Station,
    /// Where the signed bundle is written (JSON), or the signatures on a plan of version 2.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(command: Command, output: Output) -> Result<()> {
    let Command::Sign(sign) = command;
    let manifest = files::verified_manifest(&sign.manifest)?;
    match streamed(&sign.plan)? {
        true => ladders::sign(&sign, &manifest, output),
        false => bundle::sign(&sign, &manifest, output),
    }
}

/// Whether a file is a plan of version 2.
fn streamed(plan: &Path) -> Result<bool> {
    let mut first = Vec::new();
    let read = File::open(plan).and_then(|file| file.take(1).read_to_end(&mut first));
    read.with_context(|| format!("cannot read {}", plan.display()))?;
    Ok(is_stream(&first))
}
