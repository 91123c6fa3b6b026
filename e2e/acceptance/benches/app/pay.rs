//! Payments: posted by clients, and seen in blocks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use acceptance::load::{Length, Load, Run};
use anyhow::{Result, ensure};
use playbook::app::Api;
use serde_json::{Value, json};

use crate::{Scale, place::Place, wallets::Wallets};

/// Where all is paid to.
const PAYEE: &str = "0x1111111111111111111111111111111111111111";
/// keccak256 of `ExecutionSuccess(bytes32,uint256)`: a Safe has carried out what its owners signed.
const EXECUTED: &str = "0x442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e";
/// How often the node is asked for a new block.
const POLL: Duration = Duration::from_millis(50);
/// Given up where nothing is included for so long.
const STALLED: Duration = Duration::from_secs(60);

/// What came of one load.
pub(crate) struct Paid {
    /// Of the posts.
    pub(crate) posts: Run,
    /// Payments asked for.
    pub(crate) asked: usize,
    /// Payments in a block.
    pub(crate) included: usize,
    /// From the first post to the last inclusion.
    pub(crate) took: Duration,
}

impl Paid {
    /// Payments included, a second.
    pub(crate) fn rate(&self) -> f64 {
        self.included as f64 / self.took.as_secs_f64()
    }
}

/// Pays from one wallet after the other; clones go on together.
#[derive(Clone)]
pub(crate) struct Payer {
    api: Api,
    names: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    seconds: f64,
    /// The last rate.
    rate: f64,
}

impl Payer {
    pub(crate) fn new(place: &Place, wallets: Wallets, scale: Scale) -> Self {
        let seconds = if scale.whole() { 15.0 } else { 4.0 };
        let (api, names) = (place.world.api.clone(), Arc::new(wallets.names));
        Self { api, names, next: Arc::default(), seconds, rate: 20.0 }
    }

    /// How many wallets it pays from.
    pub(crate) fn wallets(&self) -> usize {
        self.names.len()
    }

    /// As many payments as take some seconds at the last load's rate, and at least two for each client.
    pub(crate) fn enough(&self, clients: usize) -> usize {
        ((self.rate * self.seconds) as usize).clamp((2 * clients).max(50), self.names.len().max(2 * clients))
    }

    /// For many tasks.
    pub(crate) fn shared(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    /// Posts one payment of 1 wei; its id.
    pub(crate) fn post(&self) -> impl Future<Output = Result<String>> + Send + use<> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (api, names) = (self.api.clone(), self.names.clone());
        async move { api.pay(&format!("bench-{number}"), &names[number % names.len()], PAYEE, "ETH", "1").await }
    }

    /// So many payments of so many clients, until all are in blocks.
    pub(crate) async fn run(&mut self, place: &Place, clients: usize, payments: usize) -> Result<Paid> {
        eprintln!("bench-app: {payments} payments of {clients} clients");
        let block = place.block().await?;
        let payer = self.shared();
        let started = Instant::now();
        let load = Load { concurrency: clients, length: Length::Requests(payments) };
        let posts = load.run(1, move |_| {
            let payer = payer.clone();
            async move { payer.post().await.map(drop) }
        });
        let (posts, (included, last)) = tokio::try_join!(posts, inclusions(place, block, payments))?;
        ensure!(included > 0, "no payment was included; see {}", place.world.owner.folder.join("app.log").display());
        let paid = Paid { posts, asked: payments, included, took: last - started };
        self.rate = paid.rate();
        eprintln!("bench-app: {included} of {payments} included, {:.1}/s", paid.rate());
        Ok(paid)
    }
}

/// How many of `payments` are executed after `block`, and when the last was seen.
pub(crate) async fn inclusions(place: &Place, mut block: u64, payments: usize) -> Result<(usize, Instant)> {
    let anvil = &place.world.ground.anvil;
    let (mut included, mut last) = (0, Instant::now());
    while included < payments && last.elapsed() < STALLED {
        tokio::time::sleep(POLL).await;
        let newest = place.block().await?;
        if newest > block {
            let (from, to) = (format!("{:#x}", block + 1), format!("{newest:#x}"));
            let seen = Instant::now();
            let filter = json!([{"fromBlock": from, "toBlock": to, "topics": [EXECUTED]}]);
            let executed = anvil.rpc::<Vec<Value>>("eth_getLogs", filter).await?.len();
            if executed > 0 {
                (included, last) = (included + executed, seen);
            }
            block = newest;
        }
    }
    Ok((included, last))
}
