//! `multisig evac plan`: from wallet records and a node's word to unsigned transactions. Trusts the node with nothing
//! but amounts: addresses and destinations come from the manifest, and each station checks them again.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use chain::{Amount, Asset, ChainId};
use chain_evm_client::Rpc;
use clap::Args;
use custody::{
    WalletId,
    manifest::{SignedManifest, VerifiedManifest},
};
use evacuation::{Balance, Bundle, ChainState, WalletsExport};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{Progress, patiently, read, write};
use crate::{failure::bad_input, output::Output};

/// Wallets asked about at a time.
const CONCURRENCY: usize = 16;
const NATIVE: &str = "native";

/// What to plan from.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Wallet records, as `cooler wallets export` or `keeper wallets export` prints them
    #[arg(long)]
    wallets: PathBuf,
    /// The custody manifest, signed by both stations
    #[arg(long)]
    manifest: PathBuf,
    /// A node of the chain
    #[arg(long)]
    rpc: String,
    /// The chain to evacuate [default: the node's]
    #[arg(long)]
    chain: Option<ChainId>,
    /// A token to move too (SYMBOL=0xCONTRACT), or the native coin's symbol (SYMBOL=native); may be repeated
    #[arg(long = "asset", value_name = "SYMBOL=CONTRACT", value_parser = asset)]
    assets: Vec<Asset>,
    /// One of the manifest's safe destinations [default: the first]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Where to write the plan
    #[arg(long)]
    out: PathBuf,
}

/// What was planned.
#[derive(Debug, Serialize)]
struct Planned {
    plan: PathBuf,
    chain: ChainId,
    /// Wallets with an address on the chain.
    wallets: usize,
    /// Transactions to sign: one per wallet and asset that is there.
    steps: usize,
    /// Sum by asset, smallest unit.
    totals: BTreeMap<String, Amount>,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, chain, wallets, steps, totals } = self;
        writeln!(f, "{}: {steps} transactions for {wallets} wallets on {chain}", plan.display())?;
        for (asset, total) in totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        if *steps == 0 {
            return writeln!(f, "Nothing to move: every wallet is empty.");
        }
        writeln!(f, "Next, cool signs it (`cooler evac sign`), then cold (`multisig-paper evac sign`).")
    }
}

pub(super) async fn run(args: PlanArgs, output: Output) -> Result<()> {
    let export = WalletsExport::parse(&read(&args.wallets)?).map_err(|error| file(&args.wallets, &error))?;
    let manifest = manifest(&args.manifest)?;
    let assets = with_native(args.assets);
    let rpc = Rpc::new(&args.rpc).map_err(|error| bad_input(format!("--rpc: {error}")))?;
    let chain = chain(&rpc, args.chain).await?;
    let states = states(&rpc, &export, &chain, &assets).await?;
    let destinations = args.to.into_iter().map(|to| (chain.clone(), to)).collect();
    let plan = evacuation::plan(&export, &states, &manifest, &destinations)?;
    write(&args.out, &plan.to_json())?;
    let totals = totals(&plan)?;
    output.print(&Planned { plan: args.out, chain, wallets: states.len(), steps: plan.steps.len(), totals })
}

fn manifest(path: &Path) -> Result<VerifiedManifest> {
    let verified = SignedManifest::parse(&read(path)?).and_then(|signed| signed.verify());
    verified.map_err(|error| file(path, &error))
}

/// The node's chain, which must be the one asked for.
async fn chain(rpc: &Rpc, asked: Option<ChainId>) -> Result<ChainId> {
    let served: ChainId = format!("eip155:{}", patiently(|| rpc.chain_id()).await?).parse()?;
    if let Some(asked) = asked {
        ensure!(asked == served, "the node at {} serves {served}, not {asked}; use a node of that chain", rpc.node());
    }
    Ok(served)
}

async fn states(
    rpc: &Rpc,
    export: &WalletsExport,
    chain: &ChainId,
    assets: &[Asset],
) -> Result<BTreeMap<(WalletId, ChainId), ChainState>> {
    let wallets: Vec<_> =
        export.wallets.iter().filter_map(|wallet| Some((&wallet.id, wallet.addresses.get(chain)?))).collect();
    let progress = Progress::new("reading wallets", wallets.len());
    let shown = &progress;
    let asked = stream::iter(wallets).map(|(id, address)| async move {
        let state = state(rpc, address, assets).await.with_context(|| format!("wallet {id}"))?;
        shown.done(&format!("{id} {address}"));
        Ok::<_, anyhow::Error>(((id.clone(), chain.clone()), state))
    });
    let states = asked.buffer_unordered(CONCURRENCY).try_collect().await;
    progress.end();
    states
}

async fn state(rpc: &Rpc, address: &str, assets: &[Asset]) -> Result<ChainState> {
    let safe = address.parse().map_err(|_| bad_input(format!("'{address}' is not an address")))?;
    let tokens: Vec<_> =
        assets.iter().filter_map(|asset| asset.contract.as_deref()).map(str::parse).collect::<Result<_, _>>()?;
    let state = patiently(|| rpc.safe(safe, &tokens)).await?;
    let mut units = state.tokens.into_iter();
    let balances = assets.iter().map(|asset| {
        let amount = asset.contract.as_ref().and_then(|_| units.next()).unwrap_or(state.native);
        Balance { asset: asset.clone(), amount: Amount(amount) }
    });
    Ok(ChainState { deployed: state.deployed, nonce: state.nonce, balances: balances.collect() })
}

fn totals(plan: &Bundle) -> Result<BTreeMap<String, Amount>> {
    let mut totals = BTreeMap::new();
    for step in &plan.steps {
        let total: &mut Amount = totals.entry(step.asset.clone()).or_default();
        *total = total.checked_add(step.amount).context("the node reports an impossible balance")?;
    }
    Ok(totals)
}

/// The native coin always moves, last: tokens need none of it, so the order does not matter to them.
fn with_native(mut assets: Vec<Asset>) -> Vec<Asset> {
    if assets.iter().all(|asset| asset.contract.is_some()) {
        assets.push(Asset { symbol: NATIVE.to_owned(), contract: None });
    }
    assets
}

/// `SYMBOL=native` or `SYMBOL=0x...`.
fn asset(text: &str) -> Result<Asset, String> {
    let (symbol, contract) = text.split_once('=').ok_or("expected SYMBOL=CONTRACT, for example USDC=0x...")?;
    let contract = match contract {
        NATIVE => None,
        contract => {
            let address: Result<alloy_primitives::Address, _> = contract.parse();
            Some(address.map_err(|_| format!("'{contract}' is neither `native` nor a contract address"))?.to_string())
        }
    };
    if symbol.is_empty() {
        return Err("the symbol before = is empty".to_owned());
    }
    Ok(Asset { symbol: symbol.to_owned(), contract })
}

fn file(path: &Path, error: &dyn fmt::Display) -> anyhow::Error {
    bad_input(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

    #[test]
    fn assets_are_symbol_and_contract() {
        assert_eq!(asset("ETH=native"), Ok(Asset { symbol: "ETH".into(), contract: None }));
        let usd = asset(&format!("USD={TOKEN}")).unwrap();
        assert_eq!(usd.contract.unwrap().to_lowercase(), TOKEN);
        for wrong in ["", "USD", "USD=", "=native", "USD=0x12"] {
            assert!(asset(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_native_coin_is_never_forgotten() {
        let usd = asset(&format!("USD={TOKEN}")).unwrap();
        let symbols = |assets| with_native(assets).into_iter().map(|asset| asset.symbol).collect::<Vec<_>>();
        assert_eq!(symbols(vec![]), ["native"]);
        assert_eq!(symbols(vec![usd.clone()]), ["USD", "native"]);
        assert_eq!(symbols(vec![asset("ETH=native").unwrap(), usd]), ["ETH", "USD"]);
    }
}
