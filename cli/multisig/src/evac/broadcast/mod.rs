//! `multisig evac broadcast`: sends what two owners have signed. It keeps no record: what has happened is read from
//! the chain (nonce, digest, and what a token says that it moved), so it may be stopped at any time, started again, and
//! run twice.
//!
//! `ladder` (what is signed: a bundle, or by `signed_plan` a plan of version 2) -> `course` (how far one wallet has come:
//! pure) -> `look` (asks the chain) -> `together` (many wallets in one transaction) or `single` (where the chain carries
//! no more) -> `rescue` (all wallets).

mod course;
mod follow;
mod ladder;
mod look;
mod report;
mod rescue;
mod signed_plan;
mod single;
#[cfg(test)]
mod tests;
mod together;

use std::{
    convert::Infallible,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};
use chain::{ChainClient, ChainId, RelayLimits};
use chain_adapters::Adapters;
use chain_clients::Tending;
use clap::Args;
use evacuation::{Bundle, EvacuationError, VerifiedBundle, stream::is_stream};
use zeroize::Zeroizing;

use self::{
    ladder::{Ladder, ladders},
    report::{Line, Moved, Report},
    rescue::rescue,
    signed_plan::{Named, SignedPlan},
};
use super::{Payer, connect, manifest, patiently, read};
use crate::{failure::bad_input, output::Output};

/// Gwei.
const MAX_FEE: u64 = 500;
const GWEI: u128 = 1_000_000_000;
/// Gas: what EIP-7825 allows one transaction.
const MAX_GAS: u64 = 1 << 24;
/// Chunks of a plan of version 2 after each of which people hear how far its verification is.
const PROGRESS: u32 = 50;

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
    /// A node of the chain
    #[arg(long)]
    rpc: String,
    /// File with the secp256k1 key that pays for gas, 64 hex digits; use a key that nothing else uses
    #[arg(long)]
    gas_key: PathBuf,
    /// The most to offer for a gas, gwei; what is pending at less is sent again, dearer
    #[arg(long, value_name = "GWEI", default_value_t = MAX_FEE, value_parser = clap::value_parser!(u64).range(1..))]
    max_fee: u64,
    /// The most gas that one transaction may use; less puts fewer wallets into one
    #[arg(long, value_name = "GAS", default_value_t = MAX_GAS, value_parser = clap::value_parser!(u64).range(1..=MAX_GAS))]
    max_gas: u64,
}

pub(super) async fn run(args: BroadcastArgs, output: Output) -> Result<()> {
    let mut plan = open(&args.plan)?;
    // Read once: it may be a pipe.
    if is_stream(plan.fill_buf().map_err(|error| cannot_read(&args.plan, &error))?) {
        let mut signed = signed_plan(&args, plan)?;
        let missing = signed.missing();
        let (ladders, lines) = signed.ladders();
        return send(&args, ladders, lines, missing, output).await;
    }
    let bundle = verified(&args, plan)?;
    let (ladders, lines) = ladders(&bundle).map_err(|error| of_bundle(&args, &error))?;
    send(&args, ladders, lines, Vec::new(), output).await
}

/// `missing` is told of beside what becomes of the `lines`.
async fn send(
    args: &BroadcastArgs,
    ladders: Vec<Ladder<'_>>,
    lines: Vec<Line>,
    missing: Vec<Moved>,
    output: Output,
) -> Result<()> {
    if ladders.is_empty() && !missing.is_empty() {
        return ended(Report::new(missing), output);
    }
    let key = gas_key(args)?;
    let (max_price, max_gas) = (u128::from(args.max_fee) * GWEI, args.max_gas);
    let limits = RelayLimits { max_price, max_gas, ..RelayLimits::DEFAULT };
    let payer = Payer { path: &args.gas_key, key: &key, limits };
    let client = connect(chain(&args.plan, &ladders)?, &args.rpc, Some(payer)).await?;
    // A deployment to an address without the factory would cost gas and do nothing.
    let creation = ladders.first().and_then(|first| Some((first.wallet, first.creation.as_ref()?)));
    patiently(|| client.verify_contracts(creation)).await?;
    let report = tokio::select! {
        report = rescue(client.as_ref(), ladders, lines) => report?.and(missing),
        never = tend(client.as_ref()) => match never {},
    };
    ended(report, output)
}

/// What is open is a failure, but of no input.
fn ended(report: Report, output: Output) -> Result<()> {
    output.print(&report)?;
    let (open, all) = report.open();
    ensure!(open == 0, "{open} of {all} transactions are not done; run this again, or make a new plan for the rest");
    Ok(())
}

/// Looks after what is sent, with each block.
async fn tend(client: &dyn ChainClient) -> Infallible {
    let (mut tending, mut failures) = (Tending::default(), 0);
    loop {
        failures = if tending.next(client).await.is_ok() { 0 } else { failures + 1 };
        if failures > 0 {
            tokio::time::sleep(backoff::delay(failures)).await;
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).map_err(|error| cannot_read(path, &error))?))
}

fn cannot_read(path: &Path, error: &io::Error) -> anyhow::Error {
    bad_input(format!("cannot read {}: {error}", path.display()))
}

/// The plan of version 2 with its signatures, all of it verified.
fn signed_plan(args: &BroadcastArgs, plan: BufReader<File>) -> Result<SignedPlan> {
    let [one, other] = args.signatures.as_slice() else {
        bail!(bad_input(format!(
            "{} is of version 2 and has no signatures in it; name the signature files of two owners after it",
            args.plan.display()
        )));
    };
    let named = |path: &Path, input| Named { name: path.display().to_string(), input };
    let signatures = [named(one, open(one)?), named(other, open(other)?)];
    let manifest = args.manifest.as_deref().map(manifest).transpose()?;
    let manifest = manifest.as_ref().map(|(_, verified)| verified);
    let mut chunks = 0;
    SignedPlan::read(named(&args.plan, plan), manifest, signatures, |done, all| {
        chunks += 1;
        if chunks % PROGRESS == 0 {
            eprintln!("{done} of {all} wallets are verified");
        }
    })
}

/// The bundle, verified as the stations do. A forged manifest in a bundle would be of no use to the forger: what is
/// sent moves only what its owners have signed.
fn verified(args: &BroadcastArgs, mut file: impl Read) -> Result<VerifiedBundle> {
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
    read.map_err(|error| cannot_read(&args.plan, &error))?;
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

fn gas_key(args: &BroadcastArgs) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(read(&args.gas_key)?);
    Ok(Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or_default().to_owned()))
}

/// A node serves one chain, so a bundle is broadcast chain by chain.
fn chain<'a>(plan: &Path, ladders: &[Ladder<'a>]) -> Result<&'a ChainId> {
    let mut chains = ladders.iter().map(|ladder| &ladder.wallet.chain);
    let empty = || bad_input(format!("{} is empty: there is nothing to move", plan.display()));
    let chain = chains.next().ok_or_else(empty)?;
    if let Some(other) = chains.find(|other| *other != chain) {
        bail!(bad_input(format!("the bundle has transactions on {chain} and on {other}; make one plan per chain")));
    }
    Ok(chain)
}
