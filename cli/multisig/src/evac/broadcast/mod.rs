//! `multisig evac broadcast`: sends what two owners have signed.
//!
//! `input` (files and pipes) -> `signed_plan` or a `bundle` (what is signed, verified) -> `sending` (all of it) -> `telling`,
//! `report`, `picture` (what became of it, by `value`).

mod bundle;
mod input;
mod picture;
mod report;
mod signed_plan;
mod telling;
#[cfg(test)]
mod tests;
mod value;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use chain::ChainId;
use chain_adapters::Adapters;
use clap::Args;
use evacuation::{Bundle, EvacuationError, VerifiedBundle, stream::is_stream};
use futures::{StreamExt, TryStreamExt, stream};

use self::{
    bundle::ladders,
    input::Input,
    picture::{Caption, svg},
    signed_plan::{Files, SignedPlan},
    telling::Telling,
    value::{Curve, Values},
};
use super::{
    MAX_GAS, connect, manifest, patiently,
    sending::{Ladder, Paying, Source, Voice, WINDOW, Watch, Window, send as send_all},
};
use crate::{failure::bad_input, output::Output};

/// Nodes that must say the same: what is signed already can't be led astray by a node, only held up.
const AGREE: usize = 1;
/// Gwei.
const MAX_FEE: u64 = 500;
/// Chunks of a plan of version 2 after each of which people hear how far its verification is.
const PROGRESS: u32 = 50;
/// Receipts that are asked for at a time.
const RECEIPTS: usize = 32;

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct BroadcastArgs {
    /// The plan of version 2, or the bundle, signed by cool and cold
    plan: PathBuf,
    /// The signature files of two owners on a plan of version 2, in either order; a bundle has its signatures in it
    #[arg(value_name = "SIGNATURES", num_args = 0..=2)]
    signatures: Vec<PathBuf>,
    /// The custody manifest, signed by both stations; without it, the one that the plan or the bundle carries
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// A node of the chain; may be repeated: where one is away or behind, the next is asked
    #[arg(long, value_name = "URL", required = true)]
    rpc: Vec<String>,
    /// An endpoint that shows a transaction to nobody before it is mined; may be repeated. Transactions then go there alone,
    /// and to the nodes of --rpc too once they have been left out for 10 blocks
    #[arg(long, value_name = "URL")]
    private: Vec<String>,
    /// File with a secp256k1 key that pays for gas, 64 hex digits; use a key that nothing else uses. May be repeated: each
    /// key has up to four transactions of many wallets under way
    #[arg(long, value_name = "FILE", required = true)]
    gas_key: Vec<PathBuf>,
    /// Where to keep what is about to be sent, so that a later run goes on with it; none: nowhere [default: PLAN.journal]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Where to draw the value moved against blocks, as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// The most to offer for a gas, gwei; what is pending at less is sent again, dearer
    #[arg(long, value_name = "GWEI", default_value_t = MAX_FEE, value_parser = clap::value_parser!(u64).range(1..))]
    max_fee: u64,
    /// The most gas that one transaction may use; less puts fewer wallets into one
    #[arg(long, value_name = "GAS", default_value_t = MAX_GAS, value_parser = clap::value_parser!(u64).range(1..=MAX_GAS))]
    max_gas: u64,
}

/// All that was verified, and where it came from.
struct Verified {
    chain: ChainId,
    wallets: u64,
    values: Values,
    source: Source,
    /// Where its journal is by default.
    journal: Option<PathBuf>,
}

pub(super) async fn run(args: BroadcastArgs, output: Output) -> Result<()> {
    let verified = verified(&args)?;
    send(&args, verified, output).await
}

fn verified(args: &BroadcastArgs) -> Result<Verified> {
    let plan = Input::open(&args.plan)?;
    let journal = plan.journal(&args.plan);
    if is_stream(&plan.begins()?) {
        let mut signed = signed_plan(args, plan)?;
        let header = signed.header();
        let (chain, wallets, values) = (header.chain.clone(), header.wallets, Values::of(header));
        if wallets == 0 {
            bail!(empty(&args.plan));
        }
        let source = Source::reading(std::iter::from_fn(move || signed.next().transpose()));
        return Ok(Verified { chain, wallets, values, source, journal });
    }
    let bundle = bundle(args, plan.again()?)?;
    let (portion, values) = ladders(&bundle).map_err(|error| of_bundle(args, &error))?;
    let (chain, wallets) = (chain(&args.plan, &portion.ladders)?.clone(), portion.ladders.len() as u64);
    Ok(Verified { chain, wallets, values, source: Source::held([portion]), journal })
}

async fn send(args: &BroadcastArgs, verified: Verified, output: Output) -> Result<()> {
    let Verified { chain, wallets, values, mut source, journal } = verified;
    let paying = Paying::open(&args.gas_key, args.journal.as_deref(), journal, &chain)?;
    let picture = args.picture.as_deref().map(drawn).transpose()?;
    let payer = paying.payer(args.max_fee, args.max_gas, &args.private);
    let client = connect(&chain, &args.rpc, AGREE, Some(payer)).await?;
    // A deployment to an address without the factory would cost gas and do nothing.
    let first = source.first().await?.and_then(|portion| portion.ladders.first());
    let creation = first.and_then(|first| Some((&first.wallet, first.creation.as_ref()?)));
    patiently(|| client.verify_contracts(creation)).await?;
    let voice = Voice::new("moving money", wallets);
    let (told, all) = (Telling::new(voice.clone(), wallets, values.clone())?, values.all());
    let watch = Watch::new(client, paying.payers, voice);
    send_all(&watch, paying.left, &mut source, Window::of(WINDOW), &told).await?;
    let gas = gas(&watch, told.transactions()).await;
    let (report, curve) = told.end(chain.to_string(), gas);
    if let Some((file, path)) = picture {
        let title = format!("Evacuation of {wallets} wallets on {chain}");
        let valued = if values.is_priced() { "by the plan's prices" } else { "each asset counted the same" };
        draw(file, &curve, &Caption { title: &title, percent: report.moved.value_percent, all, valued })
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    output.print(&report)?;
    let (open, all) = report.open();
    ensure!(open == 0, "{open} of {all} transactions are not done; run this again, or make a new plan for the rest");
    Ok(())
}

/// Gas of all these transactions; `None`: the chain does not tell.
async fn gas(watch: &Watch, transactions: Vec<String>) -> Option<u64> {
    let ask = |tx: String| async move { watch.ask(|| watch.client.work(&tx)).await.ok().flatten().ok_or(()) };
    let asked = stream::iter(transactions).map(ask).buffer_unordered(RECEIPTS);
    asked.try_fold(0, |sum: u64, gas| async move { Ok(sum.saturating_add(gas)) }).await.ok()
}

/// The file that the picture goes to: that it can't be is told before anything is sent.
fn drawn(path: &Path) -> Result<(File, &Path)> {
    let file = File::create(path).map_err(|error| bad_input(format!("--picture {}: {error}", path.display())))?;
    Ok((file, path))
}

fn draw(mut file: File, curve: &Curve, caption: &Caption<'_>) -> std::io::Result<()> {
    std::io::Write::write_all(&mut file, svg(curve, caption).as_bytes())
}

/// The plan of version 2 with its signatures, all of it verified.
fn signed_plan(args: &BroadcastArgs, plan: Input) -> Result<SignedPlan> {
    let [one, other] = args.signatures.as_slice() else {
        bail!(bad_input(format!(
            "{} is of version 2 and has no signatures in it; name the signature files of two owners after it",
            args.plan.display()
        )));
    };
    let signatures = [Input::open(one)?, Input::open(other)?];
    let manifest = args.manifest.as_deref().map(manifest).transpose()?;
    let manifest = manifest.as_ref().map(|(_, verified)| verified);
    let mut chunks = 0;
    SignedPlan::verify(&Files { plan, signatures }, manifest, |done, all| {
        chunks += 1;
        if chunks % PROGRESS == 0 {
            eprintln!("{done} of {all} wallets are verified");
        }
    })
}

/// The bundle, verified as the stations do. A forged manifest in a bundle would be of no use to the forger: what is
/// sent moves only what its owners have signed.
fn bundle(args: &BroadcastArgs, mut file: impl Read) -> Result<VerifiedBundle> {
    if let Some(extra) = args.signatures.first() {
        bail!(bad_input(format!(
            "{} is of version 1 and has its signatures in it; leave {} out, or name the plan of version 2",
            args.plan.display(),
            extra.display()
        )));
    }
    let wrong = |error| of_bundle(args, &error);
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes).and_then(|_| Ok(text_file::unmark(&mut bytes)?));
    read.map_err(|error| bad_input(format!("cannot read {}: {error}", args.plan.display())))?;
    let bundle = Bundle::parse(&bytes).map_err(wrong)?;
    let manifest = match (&args.manifest, &bundle.manifest) {
        (Some(path), _) => manifest(path)?.1,
        (None, Some(carried)) => {
            carried.verify().map_err(|error| bad_input(format!("{}: {error}", args.plan.display())))?
        }
        (None, None) => {
            bail!(bad_input(format!("{} carries no manifest; name it with --manifest FILE", args.plan.display())))
        }
    };
    bundle.verify(&manifest, &Adapters::all()).map_err(wrong)
}

fn of_bundle(args: &BroadcastArgs, error: &EvacuationError) -> anyhow::Error {
    bad_input(format!("{}: {error}", args.plan.display()))
}

/// A node serves one chain, so a bundle is broadcast chain by chain.
fn chain<'a>(plan: &Path, ladders: &'a [Ladder]) -> Result<&'a ChainId> {
    let mut chains = ladders.iter().map(|ladder| &ladder.wallet.chain);
    let chain = chains.next().ok_or_else(|| empty(plan))?;
    if let Some(other) = chains.find(|other| *other != chain) {
        bail!(bad_input(format!("the bundle has transactions on {chain} and on {other}; make one plan per chain")));
    }
    Ok(chain)
}

fn empty(plan: &Path) -> anyhow::Error {
    bad_input(format!("{} is empty: there is nothing to move", plan.display()))
}
