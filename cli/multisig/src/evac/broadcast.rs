//! `multisig evac broadcast`: sends what cool and cold have signed. It keeps no record: what has happened is read from
//! the chain (nonce and digest), so it may be stopped at any time, started again, and run twice.

use std::{collections::BTreeMap, convert::Infallible, fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use chain::{
    Call, ChainClient, ChainId, ClientError, Errand, Fate, Look, RelayLimits,
    execute::{Carried, Errands, Executor, Lost, Readiness},
};
use chain_adapters::Adapters;
use chain_clients::Tending;
use clap::Args;
use evacuation::{Bundle, EvacuationError, Step, VerifiedBundle, VerifiedStep};
use futures::{StreamExt, stream};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Payer, Progress, connect, manifest, patiently, read};
use crate::{failure::bad_input, output::Output};

/// Wallets worked on at a time, hence transactions that are not mined yet: nodes hold at least 16 of one account.
const CONCURRENCY: usize = 8;
/// How long a transaction may take to be mined.
const MINED: Duration = Duration::from_secs(300);
/// So often a call is made again whose place something else has taken.
const ATTEMPTS: u32 = 5;
/// Gwei.
const MAX_FEE: u64 = 500;
const GWEI: u128 = 1_000_000_000;
/// How far back an execution that is not ours is looked for, blocks: about a week on Ethereum.
const DEPTH: u64 = 50_000;

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct BroadcastArgs {
    /// The bundle, signed by cool and cold
    bundle: PathBuf,
    /// The custody manifest, signed by both stations; without it, the one that the bundle carries
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
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    /// Moved now.
    Executed,
    /// Had been moved before.
    AlreadyExecuted,
    /// Its nonce was used by another transaction: plan again.
    Superseded,
    /// An earlier nonce of the wallet is not used: nothing was sent.
    Waiting,
    /// Nothing moved; the message says why.
    Failed,
}

/// One step of the bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Moved {
    id: String,
    address: String,
    asset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<String>,
    to: String,
    /// Smallest unit of the asset, decimal.
    amount_wei: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// All steps, in the bundle's order.
#[derive(Debug, Serialize)]
struct Report {
    wallets: Vec<Moved>,
}

impl Report {
    fn count(&self, status: Status) -> usize {
        self.wallets.iter().filter(|moved| moved.status == status).count()
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address: _, asset, tx, to, amount_wei, status, message } = self;
        write!(f, "{id}: {amount_wei} {asset} to {to}: {status:?}")?;
        tx.iter().try_for_each(|tx| write!(f, " in {tx}"))?;
        message.iter().try_for_each(|message| write!(f, ": {message}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wallets.iter().try_for_each(|moved| writeln!(f, "{moved}"))?;
        let done = self.count(Status::Executed) + self.count(Status::AlreadyExecuted);
        writeln!(f, "{done} of {} transactions are done.", self.wallets.len())
    }
}

pub(super) async fn run(args: BroadcastArgs, output: Output) -> Result<()> {
    let bundle = verified(&args)?;
    let signed = signed(&bundle).map_err(|error| of_bundle(&args, &error))?;
    let key = gas_key(&args)?;
    let limits = RelayLimits { max_price: u128::from(args.max_fee) * GWEI, ..RelayLimits::DEFAULT };
    let payer = Payer { path: &args.gas_key, key: &key, limits };
    let client = connect(chain(&signed)?, &args.rpc, Some(payer)).await?;
    // A deployment to an address without the factory would cost gas and do nothing.
    let creation = signed.first().map(|first| first.step.rules().creation(first.step.wallet())).transpose()?.flatten();
    let wallet = signed.first().map(|first| first.step.wallet());
    patiently(|| client.verify_contracts(wallet.zip(creation.as_ref()))).await?;
    let report = tokio::select! {
        report = send_all(client.as_ref(), &signed) => report,
        never = tend(client.as_ref()) => match never {},
    };
    output.print(&report)?;
    let all = report.wallets.len();
    let open = all - report.count(Status::Executed) - report.count(Status::AlreadyExecuted);
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

/// The bundle, verified as the stations do. A forged manifest in a bundle would be of no use to the forger: what is
/// sent moves only what its owners have signed.
fn verified(args: &BroadcastArgs) -> Result<VerifiedBundle> {
    let wrong = |error| of_bundle(args, &error);
    let bundle = Bundle::parse(&read(&args.bundle)?).map_err(wrong)?;
    let manifest = match (&args.manifest, &bundle.manifest) {
        (Some(path), _) => manifest(path)?.1,
        (None, Some(carried)) => {
            carried.verify().map_err(|error| bad_input(format!("{}: {error}", args.bundle.display())))?
        }
        (None, None) => {
            bail!(bad_input(format!("{} carries no manifest; name it with --manifest FILE", args.bundle.display())))
        }
    };
    bundle.verify(&manifest, &Adapters::all()).map_err(wrong)
}

fn of_bundle(args: &BroadcastArgs, error: &EvacuationError) -> anyhow::Error {
    bad_input(format!("{}: {error}", args.bundle.display()))
}

/// One step, with what carries it out.
struct Signed<'a> {
    step: &'a VerifiedStep,
    call: Call,
}

/// Nothing is sent of a bundle that is not signed by both.
fn signed(bundle: &VerifiedBundle) -> Result<Vec<Signed<'_>>, EvacuationError> {
    bundle.steps().iter().map(|step| Ok(Signed { step, call: step.call()? })).collect()
}

fn gas_key(args: &BroadcastArgs) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(read(&args.gas_key)?);
    Ok(Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or_default().to_owned()))
}

/// A node serves one chain, so a bundle is broadcast chain by chain.
fn chain<'a>(steps: &'a [Signed<'_>]) -> Result<&'a ChainId> {
    let mut chains = steps.iter().map(|signed| &signed.step.step().chain);
    let chain = chains.next().ok_or_else(|| bad_input("the bundle is empty: there is nothing to move"))?;
    if let Some(other) = chains.find(|other| *other != chain) {
        bail!(bad_input(format!("the bundle has transactions on {chain} and on {other}; make one plan per chain")));
    }
    Ok(chain)
}

async fn send_all(client: &dyn ChainClient, steps: &[Signed<'_>]) -> Report {
    let mut wallets: BTreeMap<&str, Vec<(usize, &Signed<'_>)>> = BTreeMap::new();
    for (index, signed) in steps.iter().enumerate() {
        wallets.entry(&signed.step.step().address).or_default().push((index, signed));
    }
    let mut order: Vec<_> = wallets.into_values().collect();
    for wallet in &mut order {
        wallet.sort_by_key(|(_, signed)| &signed.step.step().claims);
    }
    // The bundle's order, which may be by value, stays the order in which wallets are begun.
    order.sort_by_key(|wallet| wallet.iter().map(|(index, _)| *index).min());
    let progress = Progress::new("moving money", steps.len());
    let progress = &progress;
    let sent = stream::iter(order).map(|wallet| async move {
        let mut done = Vec::new();
        for (index, signed) in wallet {
            let moved = moved(client, signed).await;
            progress.done(&moved.to_string());
            done.push((index, moved));
        }
        done
    });
    let mut all: Vec<_> = sent.buffer_unordered(CONCURRENCY).concat().await;
    progress.end();
    all.sort_by_key(|(index, _)| *index);
    Report { wallets: all.into_iter().map(|(_, moved)| moved).collect() }
}

async fn moved(client: &dyn ChainClient, signed: &Signed<'_>) -> Moved {
    let Step { wallet, address, asset, amount, destination, .. } = signed.step.step();
    let failed = |error: anyhow::Error| (Status::Failed, None, Some(format!("{error:#}")));
    let (status, tx, message) = Sender::new(client, signed).execute().await.unwrap_or_else(failed);
    Moved {
        id: wallet.to_string(),
        address: address.clone(),
        asset: asset.clone(),
        tx,
        to: destination.clone(),
        amount_wei: amount.to_string(),
        status,
        message,
    }
}

type Done = (Status, Option<String>, Option<String>);

/// How one attempt at a step ended.
enum Attempt {
    Done(Done),
    /// Something else has its place.
    Lost(Lost),
}

/// One step on its way. The client remembers what it has sent as long as it lives, so that a node that is away for a
/// while does not make it send twice.
struct Sender<'a> {
    executor: Executor<'a>,
    signed: &'a Signed<'a>,
}

impl<'a> Sender<'a> {
    fn new(client: &'a dyn ChainClient, signed: &'a Signed<'a>) -> Self {
        let (rules, wallet) = (signed.step.rules(), signed.step.wallet());
        let errand = |purpose: &str| Errand { of: wallet.address.clone(), purpose: purpose.to_owned() };
        let errands = Errands { creation: errand("creation"), execution: errand("execution") };
        Self { executor: Executor::new(client, rules, wallet, errands, MINED), signed }
    }

    async fn execute(&self) -> Result<Done> {
        let fate = self.fate().await?;
        if let Fate::Early(claim) = &fate {
            return Ok((Status::Waiting, None, Some(format!("{claim} of this wallet must be used first"))));
        }
        if let Some(done) = ended(fate, Status::AlreadyExecuted) {
            return Ok(done);
        }
        self.create().await.context("deploying the wallet")?;
        let mut attempts = 1;
        loop {
            let lost = match self.attempt().await? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Lost(lost) => lost,
            };
            if attempts == ATTEMPTS {
                return Err(given_up(lost));
            }
            attempts += 1;
        }
    }

    async fn attempt(&self) -> Result<Attempt> {
        let error = match patiently(|| self.executor.execute(&self.signed.call)).await {
            Ok(Carried::Mined { tx, success: true }) => {
                return Ok(Attempt::Done((Status::Executed, Some(tx), None)));
            }
            Ok(Carried::Mined { tx, success: false }) => anyhow::anyhow!("transaction {tx} reverted"),
            Ok(Carried::Refused(reason)) => {
                anyhow::anyhow!("it would revert ({reason}); if the balance has changed, make a new plan")
            }
            Ok(Carried::OverGas(why)) => anyhow::anyhow!(why),
            Ok(Carried::Lost(lost)) => {
                let done = ended(self.fate().await?, Status::Executed);
                return Ok(done.map_or(Attempt::Lost(lost), Attempt::Done));
            }
            Err(error) => advised(error),
        };
        // Whoever was faster moved the same money to the same place.
        ended(self.fate().await?, Status::Executed).map(Attempt::Done).ok_or(error)
    }

    async fn create(&self) -> Result<()> {
        for attempt in 1..=ATTEMPTS {
            match patiently(|| self.executor.create()).await.map_err(advised)? {
                Readiness::Ready => return Ok(()),
                Readiness::Impossible(why) => bail!(why),
                Readiness::NotSeen => bail!("the wallet could not be deployed on this chain"),
                Readiness::Lost(lost) if attempt == ATTEMPTS => return Err(given_up(lost)),
                Readiness::Lost(_) => {}
            }
        }
        Ok(())
    }

    async fn fate(&self) -> Result<Fate> {
        let (id, claims) = (self.signed.step.id(), &self.signed.step.step().claims);
        Ok(patiently(|| self.executor.fate(id, claims, Look::Newest(DEPTH))).await?)
    }
}

fn advised(error: ClientError) -> anyhow::Error {
    let dear = matches!(error, ClientError::Stuck { .. } | ClientError::OverPrice { .. });
    let error = anyhow::Error::from(error);
    if dear { error.context("run this again with a higher --max-fee, or when fees have fallen") } else { error }
}

fn given_up(lost: Lost) -> anyhow::Error {
    match lost {
        Lost::Replaced { .. } => {
            anyhow::anyhow!("another program uses the gas key; use a key that nothing else uses")
        }
        Lost::Rejected(message) => anyhow::anyhow!("the node rejects the transaction: {message}"),
    }
}

/// Where the claims are used: by this very transaction, which then has `status`, or by another?
fn ended(fate: Fate, status: Status) -> Option<Done> {
    let (status, tx, message) = match fate {
        Fate::Open | Fate::Early(_) => return None,
        Fate::Done { tx, success: true, .. } => (status, Some(tx), None),
        Fate::Done { tx, success: false, .. } => {
            (Status::Failed, Some(tx), Some("it used its nonce but moved nothing"))
        }
        Fate::Superseded { .. } => {
            let message = "its nonce was used by another transaction; make a new plan for what the wallet still holds";
            (Status::Superseded, None, Some(message))
        }
        Fate::Untold => (
            Status::Failed,
            None,
            Some(
                "its nonce is used, and the node does not tell by what: run it again, or look at the wallet's history",
            ),
        ),
    };
    Some((status, tx, message.map(str::to_owned)))
}
