//! The plan of version 2: drawn up, written, and read again as a station reads it.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufWriter, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use chain::{Amount, Asset, KeyRole, hex};
use chain_adapters::Adapters;
use evacuation::stream::{Draft, LeftOut, OpenedPlan, Price, Request, Summary};
use serde::{Deserialize, Serialize};

use super::{read, write as write_whole};
use crate::failure::bad_input;

/// What stays where it is, shown to people; all of it is in the JSON form.
const SHOWN: usize = 20;

/// One line of a file of prices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    price: String,
    decimals: u32,
}

/// The prices in a file, each of an asset that is listed.
pub(super) fn prices(path: &Path, assets: &[Asset]) -> Result<BTreeMap<String, Price>> {
    let wrong = |why: &dyn fmt::Display| bad_input(format!("--prices {}: {why}", path.display()));
    let listed: BTreeMap<String, Listed> = serde_json::from_slice(&read(path)?).map_err(|error| wrong(&error))?;
    let price = |(symbol, Listed { price, decimals }): (String, Listed)| {
        if !assets.iter().any(|asset| asset.symbol == symbol) {
            return Err(wrong(&format!("no asset has the symbol {symbol}; list it with --asset, or take it out")));
        }
        let malformed = || wrong(&format!("the price of {symbol} must be a decimal number, its decimals at most 77"));
        let price = Price::new(&price, decimals).ok_or_else(malformed)?;
        Ok((symbol, price))
    };
    listed.into_iter().map(price).collect()
}

/// A plan that is on the disk, and what a station will see in it.
pub(super) struct Written {
    summary: Summary,
    digest: [u8; 32],
    left_out: Vec<LeftOut>,
}

/// Writes the plan. What a station would refuse is refused here, and then there is no file.
pub(super) fn write(request: &Request<'_>, adapters: &Adapters, out: &Path) -> Result<Written> {
    let draft = Draft::new(request, adapters)?;
    let mut seen = None;
    write_whole(out, |file| {
        let digest = draft.write(BufWriter::new(&mut *file))?;
        file.seek(SeekFrom::Start(0)).context("cannot read the plan again")?;
        let summary = as_a_station(file, request, adapters, digest)?;
        seen = Some((summary, digest));
        Ok(())
    })?;
    let (summary, digest) = seen.context("the plan was not written")?;
    Ok(Written { summary, digest, left_out: draft.left_out().to_vec() })
}

fn as_a_station(file: &File, request: &Request<'_>, adapters: &Adapters, digest: [u8; 32]) -> Result<Summary> {
    let mut plan = OpenedPlan::open(file)?.verify(request.manifest, adapters)?;
    while plan.next_chunk()?.is_some() {}
    ensure!(plan.digest() == digest, "the plan is not on the disk as it was written; is the disk damaged?");
    Ok(plan.summary().clone())
}

/// What was planned.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Planned {
    plan: PathBuf,
    version: u64,
    /// SHA-256 of the file: both signature files are bound to it.
    sha256: String,
    chain: String,
    block: u64,
    /// Who are to sign.
    owners: [KeyRole; 2],
    /// Wallets with an address on the chain.
    read: usize,
    /// Wallets in the plan.
    wallets: u64,
    /// Transactions to sign: one for each rung.
    steps: u64,
    /// Sum by asset, smallest unit.
    totals: BTreeMap<String, Amount>,
    /// Assets of wallets that stay where they are, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<Left>,
    /// Assets that could not be read everywhere, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unreadable: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Left {
    wallet: String,
    asset: String,
    amount: Amount,
    reason: String,
}

impl Planned {
    pub(super) fn new(
        plan: PathBuf,
        read: usize,
        Written { summary, digest, left_out }: &Written,
        unreadable: BTreeMap<String, String>,
    ) -> Self {
        let left = |left: &LeftOut| Left {
            wallet: left.wallet.to_string(),
            asset: left.asset.clone(),
            amount: left.amount,
            reason: left
                .why
                .map_or("the next plan moves it, when this one is broadcast".to_owned(), |why| why.to_string()),
        };
        Self {
            plan,
            version: evacuation::stream::STREAM_VERSION,
            sha256: hex::encode(digest),
            chain: summary.chain.to_string(),
            block: summary.block.number,
            owners: summary.owners.roles(),
            read,
            wallets: summary.wallets,
            steps: summary.steps,
            totals: summary.assets.iter().map(|of| (of.asset.symbol.clone(), of.total)).collect(),
            left_out: left_out.iter().map(left).collect(),
            unreadable,
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, sha256, chain, block, owners, read, wallets, steps, totals, left_out, unreadable, .. } = self;
        let plan = plan.display();
        writeln!(f, "{plan}: {steps} transactions for {wallets} of {read} wallets on {chain}, read at block {block}")?;
        writeln!(f, "  SHA-256 {sha256}")?;
        for (asset, total) in totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        for Left { wallet, asset, amount, reason } in left_out.iter().take(SHOWN) {
            writeln!(f, "  {amount} {asset} of wallet {wallet} stay where they are: {reason}")?;
        }
        if left_out.len() > SHOWN {
            writeln!(f, "  and {} more stay; -o json names each", left_out.len() - SHOWN)?;
        }
        for (asset, why) in unreadable {
            writeln!(f, "  {asset} is left where it is, because it can't be read: {why}")?;
        }
        if *steps == 0 {
            return writeln!(f, "Nothing to move of what was read.");
        }
        let [one, other] = owners.map(|owner| match owner {
            KeyRole::Hot => "hot signs it (`keeper evac sign`)",
            KeyRole::Cool => "cool signs it (`cooler evac sign`)",
            KeyRole::Cold => "cold signs it (`multisig-paper evac sign`)",
        });
        writeln!(f, "Next, {one} and {other}, in any order.")
    }
}
