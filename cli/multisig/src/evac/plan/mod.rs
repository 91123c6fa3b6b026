//! `multisig evac plan`: from wallet records and what nodes say to unsigned transactions. Trusts nodes with nothing but
//! amounts: addresses and destinations come from the manifest, and each station checks them again.
//!
//! `sources` (whose wallets; `app` reads App's database) -> `assets` and `prices` -> `read` (what they hold, kept in a
//! `reading` beside the plan) -> `single` (version 1) or `ladders` (version 2) -> `outcome` (what people are told).

mod app;
mod assets;
mod ladders;
mod outcome;
mod outlook;
mod prices;
mod read;
mod reading;
mod single;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, bail};
use chain::{Asset, ChainClient, ChainId, ChainRules};
use chain_adapters::Adapters;
use clap::Args;
use custody::manifest::{SignedManifest, VerifiedManifest};
use evacuation::{
    Merged,
    stream::{Block, OwnerPair, Price},
};

use self::{assets::asset, reading::beside};
pub(super) use self::{
    ladders::{Drawn, draw},
    outcome::Evacuability,
    outlook::Outlook,
    read::read,
};
use super::{Payer, agreeing, connect, manifest, patiently, wrong_url};
use crate::{failure::bad_input, output::Output};

/// Whose wallets, and where to read what they hold.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// Wallet records: what `cooler wallets export` or `keeper wallets export` prints, or App's database; may be repeated,
    /// and what the files say of a wallet is compared
    #[arg(long, required = true, value_name = "FILE")]
    wallets: Vec<PathBuf>,
    /// The custody manifest, signed by both stations
    #[arg(long)]
    manifest: PathBuf,
    /// A node of the chain; with several, two of them must say the same
    #[arg(long, required = true, value_name = "URL")]
    pub(super) rpc: Vec<String>,
    /// The chain to evacuate [default: the first node's]
    #[arg(long)]
    chain: Option<ChainId>,
    /// A token to move too (SYMBOL=0xCONTRACT), or the native coin's symbol (SYMBOL=native); may be repeated. What the
    /// signers' local policies list moves by itself, but for a plan of version 1
    #[arg(long = "asset", value_name = "SYMBOL=CONTRACT", value_parser = asset)]
    asset: Vec<Asset>,
    /// A file with more of them: JSON `[{"symbol": "USD", "contract": "0x…"}]`
    #[arg(long = "assets", value_name = "FILE")]
    asset_file: Option<PathBuf>,
    /// Prices to put wallets in order by: JSON `{"ETH": {"price": "3000.5", "decimals": 18}}`, of a whole unit, in one
    /// currency; without them the wallets with the largest shares of each asset come first. With the native coin's, what
    /// costs more than it holds stays
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Leave what is worth less than this where it is, in the currency of the prices
    #[arg(long, value_name = "AMOUNT", value_parser = prices::least)]
    least_value: Option<f64>,
}

/// What to plan from.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    from: FromArgs,
    /// One of the manifest's safe destinations [default: the first]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Write a plan of version 2: each asset at every nonce that can still be live, so that whoever runs in front, or a
    /// token that can't move, stops nothing else
    #[arg(long)]
    ladder: bool,
    /// A token whose balances may become smaller by themselves: 99 % of each are signed for too; may be repeated
    #[arg(long, value_name = "SYMBOL", requires = "ladder")]
    rebasing: Vec<String>,
    /// The two owners who are to sign: hot,cold where Cooler is suspected; hot,cool where the paper is lost and both data
    /// centres' local policies allow it
    #[arg(long, value_name = "OWNER,OWNER", default_value = "cool,cold", requires = "ladder")]
    owners: OwnerPair,
    /// Where to write the plan; what was read is kept in OUT.reading until it is written, so that a run that was stopped
    /// goes on
    #[arg(long)]
    out: PathBuf,
}

/// All that is known before a wallet is read.
pub(super) struct Prepared {
    pub(super) adapters: Adapters,
    pub(super) rules: Arc<dyn ChainRules>,
    pub(super) client: Arc<dyn ChainClient>,
    pub(super) signed: SignedManifest,
    pub(super) manifest: VerifiedManifest,
    pub(super) chain: ChainId,
    pub(super) assets: Vec<Asset>,
    pub(super) prices: BTreeMap<String, Price>,
    pub(super) least: Option<f64>,
    pub(super) merged: Merged,
    /// How many nodes must say the same.
    pub(super) agree: usize,
}

impl FromArgs {
    /// The chain that is named, or else the first node's.
    pub(super) async fn chain(&self) -> Result<ChainId> {
        let first = self.rpc.first().map(String::as_str).unwrap_or_default();
        match &self.chain {
            Some(chain) => Ok(chain.clone()),
            None => patiently(|| chain_clients::served(first)).await.map_err(wrong_url),
        }
    }
}

/// Reads files, and looks whether the nodes serve the chain; `payer` is who pays there, if anybody does.
pub(super) async fn prepare(
    args: &FromArgs,
    chain: ChainId,
    all_assets: bool,
    payer: Option<Payer<'_>>,
) -> Result<Prepared> {
    let (signed, manifest) = manifest(&args.manifest)?;
    let adapters = Adapters::all();
    let rules = adapters.rules(&chain).map_err(|error| bad_input(format!("--chain {chain}: {error}")))?;
    let (merged, policies) = sources::merge(&args.wallets, &chain, &manifest, &adapters)?;
    let policies = if all_assets { policies } else { Vec::new() };
    let assets = assets::listed(rules.as_ref(), &args.asset, args.asset_file.as_deref(), policies)?;
    let prices = args.prices.as_deref().map(|path| prices::read(path, &assets)).transpose()?.unwrap_or_default();
    if args.least_value.is_some() && prices.is_empty() {
        bail!(bad_input("--least-value: it needs the prices that it is compared with; name them with --prices FILE"));
    }
    let agree = agreeing(&args.rpc);
    let client = connect(&chain, &args.rpc, agree, payer).await?;
    if !merged.roster.is_empty() {
        // Where no wallet can be made, transactions to their addresses would move nothing.
        let wallet = merged.roster.describe(0, &manifest, rules.as_ref())?;
        let creation = rules.creation(&wallet)?;
        patiently(|| client.verify_contracts(creation.as_ref().map(|creation| (&wallet, creation)))).await?;
    }
    let least = args.least_value;
    Ok(Prepared { adapters, rules, client, signed, manifest, chain, assets, prices, least, merged, agree })
}

pub(super) async fn run(args: PlanArgs, output: Output) -> Result<()> {
    if !args.ladder && (args.from.prices.is_some() || args.from.least_value.is_some()) {
        bail!(bad_input("--prices and --least-value put a plan of ladders in order; add --ladder"));
    }
    let prepared = prepare(&args.from, args.from.chain().await?, args.ladder, None).await?;
    let rebasing = rebasing(&prepared.assets, &args.rebasing)?;
    let to = destination(&prepared, args.to.as_deref())?;
    let reading = beside(&args.out);
    let (states, begun) = read(&prepared, Some(&reading)).await?;
    if args.ladder {
        let block = Block { number: begun.number, id: begun.id };
        let owners = args.owners;
        let drawn = Drawn { prepared: &prepared, states: &states, block, rebasing: &rebasing, to: to.as_ref(), owners };
        ladders::write(&drawn, &args.out, output).await?;
    } else {
        single::write(&prepared, &states, to, args.out, output)?;
    }
    reading::remove(&reading)
}

/// The symbols of assets that shrink by themselves, each of which has to be listed.
fn rebasing(assets: &[Asset], symbols: &[String]) -> Result<BTreeSet<String>> {
    let unknown = symbols.iter().find(|symbol| !assets.iter().any(|asset| asset.symbol == **symbol));
    if let Some(symbol) = unknown {
        bail!(bad_input(format!(
            "--rebasing {symbol}: no asset has this symbol; list it with --asset {symbol}=CONTRACT"
        )));
    }
    Ok(symbols.iter().cloned().collect())
}

/// What stations would refuse is refused before anything is read.
fn destination(prepared: &Prepared, to: Option<&str>) -> Result<Option<String>> {
    let Prepared { manifest, rules, chain, .. } = prepared;
    let safe = manifest.safe_destinations(chain.as_str());
    if safe.is_empty() {
        bail!(bad_input(format!(
            "--manifest: it names no safe destination on {chain}; a new manifest with one must be signed first"
        )));
    }
    let Some(to) = to else { return Ok(None) };
    let wrong = |why: &str| bad_input(format!("--to {to}: {why}"));
    let address = rules.address(to).map_err(|error| wrong(&error.to_string()))?;
    match safe.iter().any(|safe| rules.address(safe).as_ref() == Ok(&address)) {
        true => Ok(Some(to.to_owned())),
        false => Err(wrong(&format!(
            "it is not a safe destination of the manifest on {chain}; those are {}",
            safe.join(", ")
        ))),
    }
}

/// Of a file that was named.
fn wrong_file(path: &Path, why: &dyn std::fmt::Display) -> anyhow::Error {
    bad_input(format!("{}: {why}", path.display()))
}
