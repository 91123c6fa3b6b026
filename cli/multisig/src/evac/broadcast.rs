//! `multisig evac broadcast`: sends what cool and cold have signed. It keeps no record: what has happened is read from
//! the chain (nonce and digest), so it may be stopped at any time, started again, and run twice.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use anyhow::{Context, Result, bail, ensure};
use chain_evm_client::{Call, ClientError, Outcome, Relayer, RelayerKey, Rpc, SafeState};
use clap::Args;
use evacuation::{Bundle, Step, VerifiedStep};
use futures::{StreamExt, stream};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Progress, patiently, read};
use crate::{failure::bad_input, output::Output};

/// Wallets worked on at a time, hence transactions that are not mined yet: nodes hold at least 16 of one account.
const CONCURRENCY: usize = 8;
/// How long a transaction may take to be mined.
const MINED: Duration = Duration::from_secs(300);
/// How far back an execution that is not ours is looked for, blocks: about a week on Ethereum.
const DEPTH: u64 = 50_000;

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct BroadcastArgs {
    /// The bundle, signed by cool and cold
    bundle: PathBuf,
    /// A node of the chain
    #[arg(long)]
    rpc: String,
    /// File with the secp256k1 key that pays for gas, 64 hex digits; use a key that nothing else uses
    #[arg(long)]
    gas_key: PathBuf,
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
    let steps = steps(&args)?;
    let relayer_key = gas_key(&args)?;
    let rpc = Arc::new(Rpc::new(&args.rpc).map_err(|error| bad_input(format!("--rpc: {error}")))?);
    let number = chain_number(&steps)?;
    patiently(|| rpc.expect_chain(number)).await?;
    let relayer = Relayer::new(rpc.clone(), number, relayer_key);
    // An earlier run may have sent transactions that are not mined: they must not be sent again beside themselves.
    patiently(|| relayer.settled(MINED)).await?;
    let report = send_all(&rpc, &relayer, &steps).await;
    output.print(&report)?;
    let all = report.wallets.len();
    let open = all - report.count(Status::Executed) - report.count(Status::AlreadyExecuted);
    ensure!(open == 0, "{open} of {all} transactions are not done; run this again, or make a new plan for the rest");
    Ok(())
}

fn steps(args: &BroadcastArgs) -> Result<Vec<VerifiedStep>> {
    let wrong = |error| bad_input(format!("{}: {error}", args.bundle.display()));
    let steps = Bundle::parse(&read(&args.bundle)?).and_then(|bundle| bundle.signed());
    steps.map_err(|error: evacuation::EvacuationError| wrong(error.to_string()))
}

fn gas_key(args: &BroadcastArgs) -> Result<RelayerKey> {
    let bytes = Zeroizing::new(read(&args.gas_key)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    RelayerKey::parse(text).map_err(|error| bad_input(format!("{}: {error}", args.gas_key.display())))
}

/// A node serves one chain, so a bundle is broadcast chain by chain.
fn chain_number(steps: &[VerifiedStep]) -> Result<u64> {
    let first = steps.first().map(|step| &step.step().chain);
    let chain = first.ok_or_else(|| bad_input("the bundle is empty: there is nothing to move"))?;
    if let Some(other) = steps.iter().map(|step| &step.step().chain).find(|other| *other != chain) {
        bail!(bad_input(format!("the bundle has transactions on {chain} and on {other}; make one plan per chain")));
    }
    chain.reference().parse().with_context(|| format!("'{chain}' is not an EVM chain"))
}

async fn send_all(rpc: &Rpc, relayer: &Relayer, steps: &[VerifiedStep]) -> Report {
    let mut wallets: BTreeMap<&str, Vec<(usize, &VerifiedStep)>> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        wallets.entry(&step.step().address).or_default().push((index, step));
    }
    let mut order: Vec<_> = wallets.into_values().collect();
    for wallet in &mut order {
        wallet.sort_by_key(|(_, step)| step.step().nonce);
    }
    // The bundle's order, which may be by value, stays the order in which wallets are begun.
    order.sort_by_key(|wallet| wallet.iter().map(|(index, _)| *index).min());
    let progress = Progress::new("moving money", steps.len());
    let progress = &progress;
    let sent = stream::iter(order).map(|wallet| async move {
        let mut done = Vec::new();
        for (index, step) in wallet {
            let moved = moved(rpc, relayer, step).await;
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

async fn moved(rpc: &Rpc, relayer: &Relayer, step: &VerifiedStep) -> Moved {
    let Step { wallet, address, asset, amount, destination, .. } = step.step();
    let sender = Sender { rpc, relayer, step };
    let failed = |error: anyhow::Error| (Status::Failed, None, Some(format!("{error:#}")));
    let (status, tx, message) = sender.execute().await.unwrap_or_else(failed);
    Moved {
        id: wallet.to_string(),
        address: address.clone(),
        asset: asset.clone(),
        tx: tx.map(|tx| tx.to_string()),
        to: destination.clone(),
        amount_wei: amount.to_string(),
        status,
        message,
    }
}

type Done = (Status, Option<B256>, Option<String>);

struct Sender<'a> {
    rpc: &'a Rpc,
    relayer: &'a Relayer,
    step: &'a VerifiedStep,
}

impl Sender<'_> {
    async fn execute(&self) -> Result<Done> {
        let nonce = self.step.step().nonce;
        let state = self.state().await?;
        if state.nonce > nonce {
            return self.executed_before(Status::AlreadyExecuted).await;
        }
        if state.nonce < nonce {
            let message = format!("nonce {} of this wallet must be used first", state.nonce);
            return Ok((Status::Waiting, None, Some(message)));
        }
        let calls = self.step.calls()?;
        if !state.deployed {
            self.send(&calls.deployment.clone().context("no creation")?.into())
                .await
                .context("deploying the wallet")?;
            ensure!(self.state().await?.deployed, "the wallet could not be deployed on this chain");
        }
        let execution: Call = calls.execution.into();
        match patiently(|| self.relayer.simulate(&execution)).await {
            Err(ClientError::Reverted { revert, .. }) => {
                bail!("it would revert ({revert}); if the balance has changed, make a new plan")
            }
            other => drop(other?),
        }
        match self.send(&execution).await {
            Ok(tx) => Ok((Status::Executed, Some(tx), None)),
            // Whoever was faster moved the same money to the same place.
            Err(error) if self.state().await?.nonce <= nonce => Err(error),
            Err(_) => self.executed_before(Status::Executed).await,
        }
    }

    /// The nonce is used: by this very transaction, or by another?
    async fn executed_before(&self, status: Status) -> Result<Done> {
        let digest = B256::from(*self.step.digest());
        let address = self.address()?;
        let execution = patiently(|| self.rpc.execution_of(address, digest, DEPTH)).await?;
        Ok(match execution {
            Some(found) if found.success => (status, Some(found.tx), None),
            Some(found) => (Status::Failed, Some(found.tx), Some("it used its nonce but moved nothing".to_owned())),
            None => {
                let message =
                    "its nonce was used by another transaction; make a new plan for what the wallet still holds";
                (Status::Superseded, None, Some(message.to_owned()))
            }
        })
    }

    async fn send(&self, call: &Call) -> Result<B256> {
        let relayed = self.relayer.submit(call).await?;
        match patiently(|| self.relayer.follow(&relayed, MINED)).await? {
            Outcome::Mined(receipt) if receipt.success => Ok(receipt.tx),
            Outcome::Mined(receipt) => bail!("transaction {} reverted", receipt.tx),
            Outcome::Replaced => bail!("another program uses the gas key; use a key that nothing else uses"),
            Outcome::Rejected(message) => bail!("the node rejects the transaction: {message}"),
        }
    }

    async fn state(&self) -> Result<SafeState> {
        let address = self.address()?;
        Ok(patiently(|| self.rpc.safe(address, &[])).await?)
    }

    fn address(&self) -> Result<Address> {
        let address = &self.step.step().address;
        address.parse().with_context(|| format!("'{address}' is not an address"))
    }
}
