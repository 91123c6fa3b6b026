//! `multisig evac status`: evacuability as a live figure. Nothing is written and nothing is signed.

use std::{collections::BTreeSet, fmt};

use anyhow::Result;
use clap::Args;
use evacuation::stream::{Block, OwnerPair};
use serde::Serialize;

use super::plan::{Drawn, Evacuability, FromArgs, draw, prepare, read};
use crate::output::Output;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    from: FromArgs,
}

/// How an evacuation would go now.
#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    would: Evacuability,
    /// Wallets that would move and do not exist yet.
    undeployed: u64,
}

pub(super) async fn run(args: StatusArgs, output: Output) -> Result<()> {
    let prepared = prepare(&args.from, args.from.chain().await?, true, None).await?;
    let (states, begun) = read(&prepared, None).await?;
    let (block, rebasing) = (Block { number: begun.number, id: begun.id }, BTreeSet::new());
    let drawn = Drawn {
        prepared: &prepared,
        states: &states,
        block,
        rebasing: &rebasing,
        to: None,
        owners: OwnerPair::default(),
    };
    let status = draw(&drawn, |draft, outlook| {
        let undeployed = draft.places().filter(|place| !states.created(*place)).count() as u64;
        Ok(Status { would: Evacuability::new(&drawn, draft, outlook), undeployed })
    });
    output.print(&status.await?)
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { would, undeployed } = self;
        let Evacuability { chain, block, read, wallets, steps, outlook, .. } = would;
        writeln!(
            f,
            "{chain} at block {block}: {wallets} of {read} wallets would move in {steps} signed transactions; \
             {undeployed} of them do not exist yet"
        )?;
        write!(f, "{would}")?;
        match outlook {
            Some(outlook) => write!(f, "{outlook}"),
            None => writeln!(f, "  The node does not say what a block carries, so there is no estimate"),
        }
    }
}
