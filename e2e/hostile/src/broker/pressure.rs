//! Freeze, lease and settlement under every flood: each is answered at its first try, while the flood goes on and few of
//! its messages are answered meanwhile, and the signer stays within its pod's memory. Delays are shown and never judged:
//! they say as much of the machine as of the signer.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use chain::Claim;
use clock::now_ms;
use custodies::CHAIN;
use custody::Role;
use protocol::{
    envelope::OwnKeys,
    ops::{Freeze, Lease, Operation, Outcome, Request, Settle, Settlement},
    subject::Lane,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use transport::Caller;

use super::{
    floods::{Flood, Flooding},
    load::refused,
    post::Broker,
};
use crate::{
    refusals::{By, Refusals},
    world::{Wallet, operation_id},
};

/// Freezes, leases and settlements under each flood.
const ROUNDS: usize = 10;
/// Messages of a flood before the first of them.
const BEFORE: usize = 1_000;
/// For one answer, without asking again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answers to the flood while one of these waits for its own: fewer than those that wait for a place among App's.
const OVERTAKEN: usize = 512;
/// The memory of a signer's pod, KiB.
const POD_KIB: u64 = 256 * 1024;

/// Everybody who may stop a signer or let it go on, beside the flood.
struct Callers {
    app: Caller,
    sentinel: Caller,
    settle: Operation,
}

/// What the rounds have come to.
#[derive(Default)]
struct Seen {
    delays: Vec<Duration>,
    answered: usize,
    sent: usize,
}

pub(super) async fn under(broker: &Broker<'_>, flood: Flood) -> Result<Refusals> {
    let callers = Callers::new(broker).await?;
    let mut refusals = Refusals::default();
    for signer in [Role::Keeper, Role::Cooler] {
        let Some(wallet) = broker.world.wallets(1).await?.pop() else { bail!("no wallet was made") };
        let flooding = flood.begin(broker, signer).await?;
        let rounds = rounds(&callers, flood, &flooding, signer, &wallet).await;
        flooding.end().await.context("the flood ended early")?;
        let seen = rounds?;
        seen.show(flood, signer, memory_kib(broker, signer).await?);
        check(broker, signer, &seen).await?;
        refusals.note(By::Party(signer), &refused(broker, signer, &wallet).await?);
    }
    Ok(refusals)
}

async fn rounds(callers: &Callers, flood: Flood, flooding: &Flooding, signer: Role, wallet: &Wallet) -> Result<Seen> {
    let begun = Instant::now();
    while flooding.sent() < BEFORE && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(5)).await;
    }
    let mut seen = Seen::default();
    for _ in 0..ROUNDS {
        let freeze = || Operation::Freeze(Freeze { wallet: wallet.id.clone(), reason: "a test".to_owned() });
        // Whoever floods a lane with its own credentials is in its own way there, and in nobody else's.
        if !flood.lanes().contains(&Lane::Freeze) {
            seen.asked(&callers.app, signer, Lane::Freeze, freeze(), flooding).await?;
        }
        let lease = Operation::Lease(Lease { until_ms: now_ms() + 10_000 });
        for told in [freeze(), lease, callers.settle.clone()] {
            seen.asked(&callers.sentinel, signer, Lane::Sentinel, told, flooding).await?;
        }
    }
    Ok(seen)
}

impl Callers {
    async fn new(broker: &Broker<'_>) -> Result<Self> {
        let (world, custody) = (broker.world, &broker.world.pair.custody);
        let app = caller(broker, Role::App, &custody.app).await?;
        let sentinel = caller(broker, Role::Sentinel, &custody.sentinel).await?;
        let wallet = broker.arena.wallet();
        let executed = world.rpc.executions(wallet.address, 0).await?;
        let settlements = executed.iter().zip(0..).map(|(executed, nonce)| {
            Settlement::new(&wallet.id, CHAIN, Claim::Sequence(nonce), executed.digest.into())
        });
        let settle = Operation::Settle(Settle { settlements: settlements.collect() });
        Ok(Self { app, sentinel, settle })
    }
}

/// Logged in already: a first try that finds no connection says nothing of the signer.
async fn caller(broker: &Broker<'_>, role: Role, keys: &Arc<OwnKeys>) -> Result<Caller> {
    let pair = &broker.world.pair;
    let link = pair.custody.link(role).await;
    timeout(PATIENCE, link.state().wait_for(|state| state.is_healthy())).await??;
    let party = pair.custody.party(role, keys, &pair.signers);
    Ok(Caller::new(link, watch::channel(party).1, transport::Metrics::default()))
}

impl Seen {
    /// One operation, at its first try.
    async fn asked(
        &mut self,
        caller: &Caller,
        signer: Role,
        lane: Lane,
        operation: Operation,
        flooding: &Flooding,
    ) -> Result<()> {
        let name = operation.name();
        let request = Request { operation_id: operation_id(), operation: Some(operation) };
        let (begun, sent, answered) = (Instant::now(), flooding.sent(), flooding.answered());
        let answer = caller.call_once(signer, lane, &request, begun + PATIENCE).await;
        self.delays.push(begun.elapsed());
        self.sent += flooding.sent() - sent;
        let overtaken = flooding.answered() - answered;
        self.answered = self.answered.max(overtaken);
        let outcome = answer.with_context(|| format!("{name} to {signer}"))?.outcome;
        ensure!(matches!(outcome, Some(Outcome::Done(_))), "{signer} answers {name} with {outcome:?}");
        ensure!(overtaken <= OVERTAKEN, "{name} waited for {overtaken} answers to the flood");
        Ok(())
    }

    fn show(&self, flood: Flood, signer: Role, memory_kib: u64) {
        let mut delays = self.delays.clone();
        delays.sort();
        let ms = |delay: Option<&Duration>| delay.map_or(0, Duration::as_millis);
        let (middle, worst) = (ms(delays.get(delays.len() / 2)), ms(delays.last()));
        let Self { answered, sent, .. } = self;
        eprintln!(
            "  {flood:?} against {signer}: {} urgent requests took {middle} ms in the middle and {worst} ms at worst \
             (goal 250); {sent} messages of the flood were sent meanwhile, at most {answered} answered during one; \
             {memory_kib} KiB of memory at most",
            delays.len()
        );
    }
}

/// The flood went on all the time, nothing urgent was turned away, and the memory was enough.
async fn check(broker: &Broker<'_>, signer: Role, seen: &Seen) -> Result<()> {
    ensure!(seen.sent > 0, "the flood had ended before");
    let (_, text) = broker.world.pair.member(signer).http("/metrics").await;
    let busy = "multisig_signer_link_overloads_total{class=\"urgent\",reason=\"Busy\"}";
    ensure!(!text.contains(busy), "something urgent was turned away: {text}");
    let memory = memory_kib(broker, signer).await?;
    ensure!(memory < POD_KIB, "{signer} has taken {memory} KiB, and its pod has {POD_KIB}");
    Ok(())
}

/// The most memory that a signer's process has had since its start.
async fn memory_kib(broker: &Broker<'_>, signer: Role) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.world.pair.pid(signer).await))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel says the most memory")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
