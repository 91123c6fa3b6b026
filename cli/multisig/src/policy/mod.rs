//! `multisig policy ...`: what the signers' own policy says, on any machine, without cluster, network or key.

mod test;

use anyhow::Result;
use clap::Subcommand;

use crate::output::Output;

/// Policies, offline.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show for a payment, rule by rule, whether it would be signed
    Test(test::TestArgs),
}

impl PolicyCommand {
    /// Runs the command; the result is printed in the form of `output`.
    pub(crate) fn run(self, output: Output) -> Result<()> {
        match self {
            PolicyCommand::Test(args) => args.run(output),
        }
    }
}
