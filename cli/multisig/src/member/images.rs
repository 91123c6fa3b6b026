//! Which image digests may run here: the data centre's own decision, from its own check of the build.

use std::fmt;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::store;
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
    /// Allow these digests no longer
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
        let stored = store::read_trust(&cluster).await?;
        let mut bundle = stored.bundle.clone();
        bundle.images.retain(|image| add || !args.digests.contains(image));
        for digest in args.digests.into_iter().filter(|_| add) {
            if !bundle.images.contains(&digest) {
                bundle.images.push(digest);
            }
        }
        bundle.validate().map_err(|error| bad_input(error.to_string()))?;
        let change = store::write_trust(&cluster, Some(&stored), &bundle).await?;
        output.print(&Allowed { change, images: bundle.images })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "images: {}", self.change)?;
        self.images.iter().try_for_each(|image| writeln!(f, "  {image}"))
    }
}
