//! `multisig evac plan`: from wallet records and a node's word to unsigned transactions. Trusts the node with nothing
//! but amounts: addresses and destinations come from the manifest, and each station checks them again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chain::{Amount, Asset, ChainClient, ChainId, ChainRules, Created, Head, Held, WalletDesc};
use chain_adapters::Adapters;
use clap::Args;
use custody::{WalletId, local_policy::is_symbol};
use evacuation::{
    Balance, Bundle, ChainState, WalletsExport,
    stream::{Block, OwnerPair, Request},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{Progress, connect, ladder, manifest, patiently, read, write, wrong_url};
use crate::{failure::bad_input, output::Output};

/// Wallets asked about at a time: their reads go out together.
const CONCURRENCY: usize = 100;
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
    /// A token to move too (SYMBOL=0xCONTRACT), or the native coin's symbol (SYMBOL=native); may be repeated. With --ladder,
    /// all that the signer's local policy lists moves by itself
    #[arg(long = "asset", value_name = "SYMBOL=CONTRACT", value_parser = asset)]
    assets: Vec<Asset>,
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
    /// Prices to put the plan in order by: JSON `{"ETH": {"price": "3000.5", "decimals": 18}}`, of a whole unit, in one
    /// currency; without them the wallets with the largest shares of each asset come first
    #[arg(long, value_name = "FILE", requires = "ladder")]
    prices: Option<PathBuf>,
    /// The two owners who are to sign: hot,cold where Cooler is suspected; hot,cool where the paper is lost and both data
    /// centres' local policies allow it
    #[arg(long, value_name = "OWNER,OWNER", default_value = "cool,cold", requires = "ladder")]
    owners: OwnerPair,
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
    /// Assets that could not be read everywhere, and why: what a wallet holds of them stays where it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unreadable: BTreeMap<String, String>,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, chain, wallets, steps, totals, unreadable } = self;
        writeln!(f, "{}: {steps} transactions for {wallets} wallets on {chain}", plan.display())?;
        for (asset, total) in totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        for (asset, why) in unreadable {
            writeln!(f, "  {asset} is left where it is, because it can't be read: {why}")?;
        }
        if *steps == 0 && !unreadable.is_empty() {
            return writeln!(f, "Nothing to move of what can be read.");
        }
        if *steps == 0 {
            return writeln!(f, "Nothing to move: every wallet is empty.");
        }
        writeln!(f, "Next, cool signs it (`cooler evac sign`), then cold (`multisig-paper evac sign`).")
    }
}

pub(super) async fn run(args: PlanArgs, output: Output) -> Result<()> {
    let export = WalletsExport::parse(&read(&args.wallets)?).map_err(|error| file(&args.wallets, &error))?;
    let (signed, manifest) = manifest(&args.manifest)?;
    let chain = match args.chain {
        Some(chain) => chain,
        None => patiently(|| chain_clients::served(&args.rpc)).await.map_err(wrong_url)?,
    };
    let adapters = Adapters::all();
    // A plan of ladders moves all that the signer's local policy lists.
    let more = if args.ladder { export.assets_on(&chain) } else { Vec::new() };
    let assets = listed(adapters.rules(&chain)?.as_ref(), with(args.assets, more))?;
    let rebasing = rebasing(&assets, args.rebasing)?;
    let prices = args.prices.as_deref().map(|path| ladder::prices(path, &assets)).transpose()?.unwrap_or_default();
    let client = connect(&chain, &args.rpc, None).await?;
    // Before the balances: what is read is not older.
    let head = if args.ladder { Some(patiently(|| client.head(None)).await?) } else { None };
    let wallets = export.on(&chain, &manifest, &adapters)?;
    if let Some((_, wallet)) = wallets.first() {
        possible(client.as_ref(), adapters.rules(&chain)?.as_ref(), wallet).await?;
    }
    let (states, unreadable) = states(client.as_ref(), wallets, &assets).await?;
    if let Some(Head { number, id, .. }) = head {
        let block = Block { number, id };
        let destination = args.to.as_ref();
        let request = Request {
            export: &export,
            states: &states,
            signed: &signed,
            manifest: &manifest,
            chain: &chain,
            block,
            assets: &assets,
            rebasing: &rebasing,
            prices: &prices,
            destination,
            owners: args.owners,
        };
        let planned = ladder::write(&request, &adapters, &args.out)?;
        return output.print(&ladder::Planned::new(args.out, states.len(), &planned, unreadable));
    }
    let destinations = args.to.into_iter().map(|to| (chain.clone(), to)).collect();
    let plan = evacuation::plan(&export, &states, &manifest, &adapters, &destinations)?;
    // For a broadcaster who has no other. What a station would refuse is refused here.
    let plan = Bundle { manifest: Some(signed), ..plan }.verify(&manifest, &adapters)?;
    let plan = plan.bundle();
    write(&args.out, |file| file.write_all(plan.to_json().as_bytes()).context("cannot write the plan"))?;
    let totals = totals(plan)?;
    let (wallets, steps) = (states.len(), plan.steps.len());
    output.print(&Planned { plan: args.out, chain, wallets, steps, totals, unreadable })
}

/// The symbols of assets that shrink by themselves, each of which has to be listed.
fn rebasing(assets: &[Asset], symbols: Vec<String>) -> Result<BTreeSet<String>> {
    let unknown = symbols.iter().find(|symbol| !assets.iter().any(|asset| asset.symbol == **symbol));
    if let Some(symbol) = unknown {
        bail!(bad_input(format!(
            "--rebasing {symbol}: no asset has this symbol; list it with --asset {symbol}=CONTRACT"
        )));
    }
    Ok(symbols.into_iter().collect())
}

/// Refuses a chain on which no wallet can be made: transactions to its addresses would move nothing.
async fn possible(client: &dyn ChainClient, rules: &dyn ChainRules, wallet: &WalletDesc) -> Result<()> {
    let creation = rules.creation(wallet)?;
    patiently(|| client.verify_contracts(creation.as_ref().map(|creation| (wallet, creation)))).await?;
    Ok(())
}

type States = BTreeMap<(WalletId, ChainId), ChainState>;

/// What each wallet holds, and why an asset could not be read.
async fn states(
    client: &dyn ChainClient,
    wallets: Vec<(WalletId, WalletDesc)>,
    assets: &[Asset],
) -> Result<(States, BTreeMap<String, String>)> {
    let progress = Progress::new("reading wallets", wallets.len());
    let shown = &progress;
    let asked = stream::iter(wallets).map(|(id, wallet)| async move {
        let state = patiently(|| client.wallet_state(&wallet, assets)).await;
        let state = state.with_context(|| format!("wallet {id}"))?;
        shown.done(&format!("{id} {}", wallet.address));
        Ok::<_, anyhow::Error>(((id, wallet.chain), state))
    });
    let read: Result<Vec<_>> = asked.buffer_unordered(CONCURRENCY).try_collect().await;
    progress.end();
    let (mut states, mut unreadable) = (States::new(), BTreeMap::new());
    for (of, state) in read? {
        let mut balances = Vec::new();
        for (asset, held) in assets.iter().zip(state.balances) {
            match held {
                Held::Units(amount) => balances.push(Balance { asset: asset.clone(), amount }),
                Held::Unreadable(why) => drop(unreadable.entry(asset.symbol.clone()).or_insert(why)),
            }
        }
        states.insert(of, ChainState { created: state.created != Created::No, next: state.next, balances });
    }
    Ok((states, unreadable))
}

fn totals(plan: &Bundle) -> Result<BTreeMap<String, Amount>> {
    let mut totals = BTreeMap::new();
    for step in &plan.steps {
        let total: &mut Amount = totals.entry(step.asset.clone()).or_default();
        *total = total.checked_add(step.amount).context("the node reports an impossible balance")?;
    }
    Ok(totals)
}

/// The assets given, and those of `more` that are none of them; a given symbol comes before a listed one.
fn with(mut given: Vec<Asset>, more: Vec<Asset>) -> Vec<Asset> {
    for asset in more {
        let contract = |asset: &Asset| asset.contract.as_ref().map(|contract| contract.to_ascii_lowercase());
        if !given.iter().any(|given| contract(given) == contract(&asset)) {
            given.push(asset);
        }
    }
    given
}

/// What to move, contracts in display form. The native coin always moves, last: tokens need none of it, so the order
/// does not matter to them.
fn listed(rules: &dyn ChainRules, mut assets: Vec<Asset>) -> Result<Vec<Asset>> {
    for Asset { symbol, contract } in &mut assets {
        if let Some(contract) = contract {
            let address = rules.address(contract);
            *contract = address.map_err(|error| bad_input(format!("--asset {symbol}: {error}")))?;
        }
    }
    if assets.iter().all(|asset| asset.contract.is_some()) {
        assets.push(Asset { symbol: NATIVE.to_owned(), contract: None });
    }
    Ok(assets)
}

/// `SYMBOL=native` or `SYMBOL=CONTRACT`; what a contract looks like is the chain's to say.
fn asset(text: &str) -> Result<Asset, String> {
    let (symbol, contract) = text.split_once('=').ok_or("expected SYMBOL=CONTRACT, for example USDC=0x...")?;
    if symbol.is_empty() || contract.is_empty() {
        return Err("the symbol before = or the contract after it is empty".to_owned());
    }
    if !is_symbol(symbol) {
        return Err("the symbol must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'".to_owned());
    }
    Ok(Asset { symbol: symbol.to_owned(), contract: (contract != NATIVE).then(|| contract.to_owned()) })
}

fn file(path: &Path, error: &dyn fmt::Display) -> anyhow::Error {
    bad_input(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

    fn listed(words: &[&str]) -> Result<Vec<Asset>> {
        let assets = words.iter().map(|word| asset(word)).collect::<Result<_, _>>();
        super::listed(Adapters::all().rules(&"eip155:1".parse()?)?.as_ref(), assets.map_err(bad_input)?)
    }

    #[test]
    fn assets_are_symbol_and_contract() {
        assert_eq!(asset("ETH=native"), Ok(Asset { symbol: "ETH".into(), contract: None }));
        let usd = listed(&[&format!("USD={TOKEN}")]).unwrap().remove(0);
        assert_eq!(usd.contract.unwrap(), TOKEN);
        for wrong in ["", "USD", "USD=", "=native", "USD=0x12", "US D=native"] {
            assert!(listed(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_local_policy_lists_comes_to_what_is_given_once() {
        let asset = |symbol: &str, contract: Option<&str>| Asset {
            symbol: symbol.to_owned(),
            contract: contract.map(str::to_owned),
        };
        let listed = vec![asset("ETH", None), asset("USD", Some(&TOKEN.to_uppercase())), asset("EUR", Some("0x01"))];
        let all = with(vec![asset("USDC", Some(TOKEN))], listed);
        let symbols: Vec<_> = all.iter().map(|asset| asset.symbol.as_str()).collect();
        assert_eq!(symbols, ["USDC", "ETH", "EUR"]);
    }

    #[test]
    fn the_native_coin_is_never_forgotten() {
        let usd = format!("USD={TOKEN}");
        let symbols = |words: &[&str]| listed(words).unwrap().into_iter().map(|asset| asset.symbol).collect::<Vec<_>>();
        assert_eq!(symbols(&[]), ["native"]);
        assert_eq!(symbols(&[&usd]), ["USD", "native"]);
        assert_eq!(symbols(&["ETH=native", &usd]), ["ETH", "USD"]);
    }
}
