//! `multisig evac status`: evacuability as a live figure. Nothing is written and nothing is signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::Result;
use chain::{Amount, ChainId};
use clap::Args;
use evacuation::stream::{Block, OwnerPair};
use serde::Serialize;

use super::plan::{Drawn, Found, FromArgs, NotMoved, Outlook, draw, not_moved, prepare, read};
use crate::output::Output;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    from: FromArgs,
}

/// How an evacuation would go now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    chain: ChainId,
    block: u64,
    /// Wallets with an address on the chain.
    read: usize,
    /// Wallets that would move.
    wallets: u64,
    /// Wallets of those that do not exist yet.
    undeployed: u64,
    /// Transactions that would be signed.
    steps: u64,
    /// Sum of what would move by asset, smallest unit.
    totals: BTreeMap<String, Amount>,
    #[serde(flatten)]
    found: Found,
    #[serde(skip_serializing_if = "Option::is_none")]
    outlook: Option<Outlook>,
    not_moved: Vec<NotMoved>,
}

pub(super) async fn run(args: StatusArgs, output: Output) -> Result<()> {
    let prepared = prepare(&args.from, true).await?;
    let (states, begun) = read(&prepared, None).await?;
    let number = begun.number;
    let (block, rebasing) = (Block { number, id: begun.id }, BTreeSet::new());
    let drawn = Drawn {
        prepared: &prepared,
        states: &states,
        block,
        rebasing: &rebasing,
        to: None,
        owners: OwnerPair::default(),
    };
    let status = draw(&drawn, |draft, outlook| {
        let found = Found::new(&prepared.merged, &states, &prepared.assets);
        let header = draft.header();
        Ok(Status {
            chain: prepared.chain.clone(),
            block: number,
            read: prepared.merged.roster.len(),
            wallets: header.wallets,
            undeployed: draft.places().filter(|place| !states.created(*place)).count() as u64,
            steps: header.steps,
            totals: header.assets.iter().map(|of| (of.asset.symbol.clone(), of.total)).collect(),
            not_moved: not_moved(draft.stays(), &found),
            found,
            outlook,
        })
    });
    output.print(&status.await?)
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, block, read, wallets, undeployed, steps, totals, found, outlook, not_moved } = self;
        writeln!(
            f,
            "{chain} at block {block}: {wallets} of {read} wallets would move in {steps} signed transactions; \
             {undeployed} of them do not exist yet"
        )?;
        for (asset, total) in totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        for reason in not_moved {
            writeln!(f, "  {reason}")?;
        }
        write!(f, "{found}")?;
        match outlook {
            Some(outlook) => write!(f, "{outlook}"),
            None => writeln!(f, "  The node does not say what a block carries, so there is no estimate"),
        }
    }
}
