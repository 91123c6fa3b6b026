//! `multisig member ...`: what a data centre admin decides and does, with the admin's own rights.

mod chart;
mod configmaps;
mod hub_token;
mod images;
mod local;
mod peers;
mod plan;
mod preflight;
mod prepare;
mod status;
mod trust;
mod volume;

use anyhow::Result;
use clap::Subcommand;

use crate::output::Output;

/// The data centre's side of a signer.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    Prepare(prepare::Prepare),
    Fingerprint(peers::Fingerprint),
    Approve(peers::Approve),
    Peers(peers::Peers),
    Status(status::Status),
    /// Allow or withdraw the image digests that may run here
    #[command(subcommand)]
    Images(images::Images),
    #[command(flatten)]
    Local(local::Local),
}

impl MemberCommand {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            MemberCommand::Prepare(command) => command.run(output).await,
            MemberCommand::Fingerprint(command) => command.run(output).await,
            MemberCommand::Approve(command) => command.run(output).await,
            MemberCommand::Peers(command) => command.run(output).await,
            MemberCommand::Status(command) => command.run(output).await,
            MemberCommand::Images(command) => command.run(output).await,
            MemberCommand::Local(command) => command.run(output).await,
        }
    }
}
