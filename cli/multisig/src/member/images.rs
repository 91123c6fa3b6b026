//! Which image digests may run here: the data centre decides, after its own check of the build.

use std::fmt;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::configmaps;
use crate::{
    cluster::MemberArgs,
    failure::bad_input,
    output::{Change, Output},
};

/// The digests that may run here.
#[derive(Debug, Subcommand)]
pub(crate) enum Images {
    /// Allow these digests
    Add(Digests),
    /// Stop allowing these digests
    Remove(Digests),
}

#[derive(Debug, Args)]
pub(crate) struct Digests {
    /// sha256: and 64 lower-case hex digits
    #[arg(required = true, value_name = "DIGEST")]
    digests: Vec<String>,
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Debug, Serialize)]
struct Allowed {
    change: Change,
    images: Vec<String>,
}

impl Images {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let (args, add) = match self {
            Images::Add(args) => (args, true),
            Images::Remove(args) => (args, false),
        };
        let cluster = args.member.connect().await?;
        let stored = configmaps::read_trust(&cluster).await?;
        let mut trust = stored.trust.clone();
        trust.images.retain(|image| add || !args.digests.contains(image));
        for digest in args.digests.into_iter().filter(|_| add) {
            if !trust.images.contains(&digest) {
                trust.images.push(digest);
            }
        }
        trust.validate().map_err(|error| bad_input(error.to_string()))?;
        let change = configmaps::write_trust(&cluster, Some(&stored), &trust).await?;
        output.print(&Allowed { change, images: trust.images })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "images: {}", self.change)?;
        self.images.iter().try_for_each(|image| writeln!(f, "  {image}"))
    }
}
