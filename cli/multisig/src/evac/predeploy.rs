//! `multisig evac predeploy`: creates the most valuable wallets that don't exist yet, while gas is cheap. Anybody may
//! create a wallet, since its address binds its owners. What exists is passed over, so it may be stopped and run again.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use chain::{
    ChainClient, ClientError, Created, Errand, Following, InMemory, Outcome, RelayLimits, WalletDesc,
    batch::{Batching, Group, Tried},
};
use chain_clients::Tending;
use clap::Args;
use evacuation::stream::{Block, OwnerPair};
use futures::{StreamExt, stream::FuturesUnordered};
use serde::Serialize;

use super::{
    GWEI, MAX_GAS, Payer, Progress, connect, patiently,
    payers::Payers,
    plan::{Drawn, FromArgs, Prepared, draw, prepare, read},
};
use crate::{failure::bad_input, output::Output};

/// Wallets that are offered for one transaction.
const OFFERED: usize = 128;
/// Transactions under way, of each gas key.
const UNDER_WAY: usize = 4;
/// For a transaction before it is asked for again.
const WAIT: Duration = Duration::from_secs(60);
/// So often a wallet is tried that a mined transaction did not create.
const TRIES: u32 = 3;

/// What to create.
#[derive(Debug, Args)]
pub(crate) struct PredeployArgs {
    #[command(flatten)]
    from: FromArgs,
    /// File with a secp256k1 key that pays for gas, 64 hex digits; may be repeated. Use keys that nothing else uses
    #[arg(long, required = true, value_name = "FILE")]
    gas_key: Vec<PathBuf>,
    /// Create at most so many wallets
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    most: usize,
    /// The most to offer for a gas, gwei: wallets are created when gas is cheap
    #[arg(long, value_name = "GWEI", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    max_fee: u64,
}

/// A wallet that is to be created.
struct Wanted {
    id: String,
    wallet: WalletDesc,
    tries: u32,
}

/// A transaction under way, and the wallets that it creates.
type Flight = (Box<dyn Following>, Vec<Wanted>);

/// What was done.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Wallets that exist now and did not when they were read.
    created: u64,
    transactions: u64,
    /// Wallets that hold something and do not exist yet.
    left: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Failed {
    wallet: String,
    message: String,
}

pub(super) async fn run(args: PredeployArgs, output: Output) -> Result<()> {
    let mut prepared = prepare(&args.from, true).await?;
    let (_, texts) = Payers::read(&args.gas_key, &prepared.chain)?;
    let keys: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
    let limits = RelayLimits { max_price: u128::from(args.max_fee) * GWEI, max_gas: MAX_GAS, ..RelayLimits::DEFAULT };
    let payer = Payer { keys: &keys, limits, journal: Arc::new(InMemory::default()), private: &[] };
    prepared.client = connect(&prepared.chain, &args.from.rpc, prepared.agree, Some(payer)).await?;
    let (wanted, open) = wanted(&prepared, args.most).await?;
    let client = prepared.client.as_ref();
    let batching = match client.batching() {
        Some(batching) if patiently(|| batching.carries()).await? => batching,
        _ => bail!(bad_input(format!(
            "{} has no Multicall3, without which wallets are created one by one; `multisig evac broadcast` does so",
            prepared.chain
        ))),
    };
    let mut report = tokio::select! {
        report = create(&prepared, batching, wanted) => report?,
        never = tend(client) => match never {},
    };
    report.left = open.saturating_sub(report.created);
    output.print(&report)?;
    ensure!(report.failed.is_empty(), "{} wallets were not created; run this again", report.failed.len());
    Ok(())
}

/// The most valuable wallets that do not exist, and how many there are of them.
async fn wanted(prepared: &Prepared, most: usize) -> Result<(VecDeque<Wanted>, u64)> {
    let (states, begun) = read(prepared, None).await?;
    let (block, rebasing) = (Block { number: begun.number, id: begun.id }, BTreeSet::new());
    let drawn = Drawn { prepared, states: &states, block, rebasing: &rebasing, to: None, owners: OwnerPair::default() };
    let (places, open) = draw(&drawn, |draft, _| {
        let absent = draft.places().filter(|place| !states.created(*place));
        Ok((absent.take(most).collect::<Vec<_>>(), draft.places().filter(|place| !states.created(*place)).count()))
    })
    .await?;
    let roster = &prepared.merged.roster;
    let wanted = places.into_iter().map(|place| {
        let wallet = roster.describe(place, &prepared.manifest, prepared.rules.as_ref())?;
        Ok(Wanted { id: roster.wallet(place).id.to_owned(), wallet, tries: 0 })
    });
    Ok((wanted.collect::<Result<_>>()?, open as u64))
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

async fn create(prepared: &Prepared, batching: &dyn Batching, mut waiting: VecDeque<Wanted>) -> Result<Report> {
    let (mut report, mut flights, mut offered) = (Report::default(), FuturesUnordered::new(), OFFERED);
    let progress = Progress::new("creating wallets", waiting.len());
    loop {
        while flights.len() < UNDER_WAY * prepared.client.relayers().len() && !waiting.is_empty() {
            let some: Vec<Wanted> = waiting.drain(..waiting.len().min(offered)).collect();
            let (sent, later, refused) = match send(prepared, batching, some, report.transactions).await? {
                Sent::Under(flight, later, refused) => (Some(flight), later, refused),
                Sent::Poor(later, why) => {
                    let halved = offered.min(later.len()) / 2;
                    later.into_iter().rev().for_each(|wanted| waiting.push_front(wanted));
                    if !flights.is_empty() {
                        break;
                    }
                    if halved == 0 {
                        return Err(why.into());
                    }
                    offered = halved;
                    continue;
                }
                Sent::Nothing(refused) => (None, Vec::new(), refused),
            };
            later.into_iter().rev().for_each(|wanted| waiting.push_front(wanted));
            if let Some((following, wallets)) = sent {
                report.transactions += 1;
                flights.push(landed(following, wallets));
            }
            settle(prepared, refused, &mut waiting, &mut report, &progress).await?;
        }
        let Some((wallets, why)) = flights.next().await else { break };
        let tried = wallets.into_iter().map(|wanted| (wanted, why.clone())).collect();
        settle(prepared, tried, &mut waiting, &mut report, &progress).await?;
    }
    progress.end();
    Ok(report)
}

/// What became of an offer.
enum Sent {
    /// It is with the relayer; these wait, and these are refused.
    Under(Flight, Vec<Wanted>, Vec<(Wanted, String)>),
    /// The float is too small for it.
    Poor(Vec<Wanted>, ClientError),
    /// Nothing of it can be created.
    Nothing(Vec<(Wanted, String)>),
}

async fn send(prepared: &Prepared, batching: &dyn Batching, some: Vec<Wanted>, number: u64) -> Result<Sent> {
    let group = |wanted: &Wanted| -> Result<_, ClientError> {
        let creation = prepared.rules.creation(&wanted.wallet)?;
        Ok((creation, wanted.wallet.clone()))
    };
    let creations = some.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    let groups: Vec<Group<'_>> = creations
        .iter()
        .map(|(creation, wallet)| Group { wallet, creation: creation.clone(), executions: Vec::new() })
        .collect();
    let batch = match patiently(|| batching.batch(&groups)).await {
        Err(error @ ClientError::Float { .. }) => return Ok(Sent::Poor(some, error)),
        other => other?,
    };
    let (mut aboard, mut later, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (wanted, tried) in some.into_iter().zip(batch.tried) {
        match tried {
            Tried::In { .. } => aboard.push(wanted),
            Tried::Later => later.push(wanted),
            Tried::Refused(why) => refused.push((wanted, why)),
        }
    }
    let Some(batched) = batch.transaction.filter(|_| !aboard.is_empty()) else {
        refused.extend(aboard.into_iter().chain(later).map(|wanted| (wanted, "nothing would be created".to_owned())));
        return Ok(Sent::Nothing(refused));
    };
    let errand = Errand { of: format!("creations {number}"), purpose: "creation".to_owned() };
    match patiently(|| batching.relay_batch(&errand, &batched)).await {
        Ok(following) => Ok(Sent::Under((following, aboard), later, refused)),
        Err(error @ ClientError::Float { .. }) => {
            let refused = refused.into_iter().map(|(wanted, _)| wanted);
            Ok(Sent::Poor(aboard.into_iter().chain(later).chain(refused).collect(), error))
        }
        Err(error) => Err(error.into()),
    }
}

/// The wallets of a transaction when it has ended, and how.
async fn landed(mut following: Box<dyn Following>, wallets: Vec<Wanted>) -> (Vec<Wanted>, String) {
    let mut failures = 0;
    let why = loop {
        match following.outcome(WAIT).await {
            Ok(Outcome::Mined { tx, .. }) => break format!("transaction {tx} did not create it"),
            Ok(Outcome::Replaced { relayer, .. }) => break format!("another transaction of {relayer} took its place"),
            Ok(Outcome::Rejected(message)) => break message,
            Err(ClientError::Pending(_)) => {}
            // Gas is dearer than people want to pay: what is sent stays where it is, and is mined when it has fallen.
            Err(error @ ClientError::Stuck { .. }) => break error.to_string(),
            Err(error) if error.is_away() => {
                failures += 1;
                tokio::time::sleep(backoff::delay(failures)).await;
            }
            Err(error) => break error.to_string(),
        }
    };
    (wallets, why)
}

/// Which of these exist now; the others are tried again, a few times.
async fn settle(
    prepared: &Prepared,
    tried: Vec<(Wanted, String)>,
    waiting: &mut VecDeque<Wanted>,
    report: &mut Report,
    progress: &Progress,
) -> Result<()> {
    let client: &dyn ChainClient = prepared.client.as_ref();
    let wallets: Vec<WalletDesc> = tried.iter().map(|(wanted, _)| wanted.wallet.clone()).collect();
    if wallets.is_empty() {
        return Ok(());
    }
    let states = patiently(|| async {
        let head = client.head(None).await?;
        client.wallet_states(&head, &wallets, &[]).await
    })
    .await?;
    for ((mut wanted, why), state) in tried.into_iter().zip(states) {
        wanted.tries += 1;
        let message = match state.created {
            Created::Ours => {
                report.created += 1;
                progress.more(1);
                continue;
            }
            Created::Foreign(what) => what,
            Created::No if wanted.tries < TRIES => {
                waiting.push_back(wanted);
                continue;
            }
            Created::No => why,
        };
        progress.more(1);
        report.failed.push(Failed { wallet: wanted.id, message });
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, transactions, left, failed } = self;
        writeln!(
            f,
            "{created} wallets were created in {transactions} transactions; {left} with something in them are left"
        )?;
        for Failed { wallet, message } in failed {
            writeln!(f, "  wallet {wallet} was not created: {message}")?;
        }
        Ok(())
    }
}
