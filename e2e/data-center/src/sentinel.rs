//! The sentinel in a small way: holds the audit heads that it is shown, grants leases, and attests settlements as it
//! reads them from the chain, and nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::Address;
use chain::Claim;
use chain_evm_client::Rpc;
use custodies::CHAIN;
use custody::{Role, identity::PeerKeys};
use futures::future::join_all;
use protocol::{
    ops::{Lease, OPERATION_ID_BYTES, Operation, Outcome, Request, Response, Settle, Settlement},
    subject::Lane,
};
use rand_core::{OsRng, RngCore};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use transport::{Bounds, Call, CallError, Caller, Server, Serving};

use crate::{
    peer::{self, Newest},
    shared::Custody,
};

/// How far ahead a lease ends.
pub const LEASE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Acts until it is dropped.
pub struct Sentinel {
    caller: Caller,
    rpc: Rpc,
    acts: Arc<AtomicBool>,
    leases: JoinHandle<()>,
    _serving: Serving,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.leases.abort();
    }
}

impl Sentinel {
    /// For these signers, looking at the chain through `rpc`.
    pub async fn start(custody: &Custody, signers: &BTreeMap<Role, PeerKeys>, rpc: Rpc) -> Self {
        let link = custody.link(Role::Sentinel).await;
        let party = watch::channel(custody.party(Role::Sentinel, &custody.sentinel, signers)).1;
        let acts = Arc::new(AtomicBool::new(true));
        let server = Server::new(link.clone(), party.clone(), transport::Metrics::default());
        let heads: BTreeMap<Role, (Newest, _)> = signers
            .iter()
            .map(|(role, keys)| (*role, (Newest::default(), custody::identity::message_key(keys).unwrap())))
            .collect();
        let (heads, awake) = (Arc::new(heads), acts.clone());
        let answer = move |call: Call| {
            let (heads, awake) = (heads.clone(), awake.load(Ordering::Relaxed));
            async move { Response { outcome: Some(if awake { answer(&heads, call) } else { asleep() }) } }
        };
        let serving = server.serve(Bounds::default(), answer).await.unwrap();
        let caller = Caller::new(link, party, transport::Metrics::default());
        let leases = tokio::spawn(grant(caller.clone(), signers.keys().copied().collect(), acts.clone()));
        Self { caller, rpc, acts, leases, _serving: serving }
    }

    /// From now on it says nothing of use; the present leases go on.
    pub fn sleep(&self) {
        self.acts.store(false, Ordering::Relaxed);
    }

    /// The end of that.
    pub fn wake(&self) {
        self.acts.store(true, Ordering::Relaxed);
    }

    /// Tells both signers which digest has used each nonce of a wallet so far.
    pub async fn attest(&self, wallet: &str, address: Address) {
        let nonce = self.rpc.safe(address, &[]).await.unwrap().nonce;
        let deadline = Instant::now() + PATIENCE;
        let executions = loop {
            let executions = self.rpc.executions(address, 0).await.unwrap();
            if executions.len() as u64 >= nonce {
                break executions;
            }
            assert!(Instant::now() < deadline, "the node does not say what used the nonces of {address}");
        };
        let settlements: Vec<_> = executions
            .iter()
            .zip(0..nonce)
            .map(|(execution, nonce)| Settlement::new(wallet, CHAIN, Claim::Sequence(nonce), execution.digest.into()))
            .collect();
        for signer in [Role::Keeper, Role::Cooler] {
            let outcome = self.say(signer, settlements.clone()).await;
            assert!(matches!(outcome, Outcome::Done(_)), "{signer} takes no settlement: {outcome:?}");
        }
    }

    /// Tells a signer this, whether it is so or not: what it answers.
    pub async fn say(&self, signer: Role, settlements: Vec<Settlement>) -> Outcome {
        let settle = Operation::Settle(Settle { settlements });
        ask(&self.caller, signer, Lane::Sentinel, settle, PATIENCE).await.unwrap()
    }
}

fn answer(heads: &BTreeMap<Role, (Newest, ed25519_dalek::VerifyingKey)>, call: Call) -> Outcome {
    match heads.get(&call.sender) {
        Some((newest, key)) => peer::answer(newest, *key, call.request.operation),
        None => peer::refused("NotServed", "the sentinel only holds audit heads of signers"),
    }
}

fn asleep() -> Outcome {
    match peer::refused("Asleep", "the sentinel is away") {
        Outcome::Refused(words) => Outcome::Unavailable(words),
        other => other,
    }
}

async fn grant(caller: Caller, signers: Vec<Role>, acts: Arc<AtomicBool>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if acts.load(Ordering::Relaxed) {
            let until_ms = u64::try_from((now() + LEASE).as_millis()).unwrap();
            // A signer that is away gets the next one.
            let lease = |signer| ask(&caller, signer, Lane::Sentinel, Operation::Lease(Lease { until_ms }), 2 * EVERY);
            join_all(signers.iter().copied().map(lease)).await;
        }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Asks for one operation under an id of its own.
pub async fn ask(
    caller: &Caller,
    to: Role,
    lane: Lane,
    operation: Operation,
    patience: Duration,
) -> Result<Outcome, CallError> {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = Request { operation_id, operation: Some(operation) };
    let response = caller.call(to, lane, &request, Instant::now() + patience).await?;
    Ok(response.outcome.unwrap())
}
