//! Blocks: before each, the thief looks at what waits and acts; the dearest transactions come first. Now and then the
//! node is a block behind.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::Bytes;
use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    chain::Chain,
    thief::{Thief, Waiting},
};

/// How often the pool is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long others may come after the first.
const COMPANY: Duration = Duration::from_millis(300);
/// A block without ours.
const EMPTY: Duration = Duration::from_secs(1);
/// The node lags one block of so many.
const LAGS: u64 = 5;

/// Says when blocks are made.
#[derive(Default)]
pub(crate) struct Miner {
    held: AtomicBool,
    over: AtomicBool,
    blocks: AtomicU64,
}

impl Miner {
    /// No blocks for now, or again.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// It is over.
    pub(crate) fn ends(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Makes blocks until it is over. `payer` is whose transactions the thief looks for.
    pub(crate) async fn mines(&self, chain: &Chain, payer: &str, thief: &mut Thief<'_>) -> Result<()> {
        let mut last = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
            if self.held.load(Ordering::Relaxed) {
                continue;
            }
            if waiting(chain, payer).await?.is_empty() && last.elapsed() < EMPTY {
                continue;
            }
            if last.elapsed() < EMPTY {
                tokio::time::sleep(COMPANY).await;
            }
            thief.acts(&waiting(chain, payer).await?).await?;
            self.block(chain).await?;
            last = Instant::now();
        }
        chain.node.behind(None);
        thief.dusts_the_rest().await?;
        // Whatever else waits, the thief's dust too.
        for _ in 0..3 {
            self.block(chain).await?;
        }
        Ok(())
    }

    async fn block(&self, chain: &Chain) -> Result<()> {
        let _: Value = chain.anvil.rpc("evm_mine", json!([])).await?;
        let number = self.blocks.fetch_add(1, Ordering::Relaxed) + 1;
        chain.node.behind(number.is_multiple_of(LAGS).then_some(1));
        Ok(())
    }
}

/// What waits of this account's.
async fn waiting(chain: &Chain, payer: &str) -> Result<Vec<Waiting>> {
    let pool: Value = chain.anvil.rpc("txpool_content", json!([])).await?;
    let accounts = pool["pending"].as_object().into_iter().flatten();
    let ours = accounts.filter(|(account, _)| account.eq_ignore_ascii_case(payer));
    let transactions = ours.flat_map(|(_, nonces)| nonces.as_object().into_iter().flatten()).map(|(_, tx)| tx);
    transactions
        .map(|tx| {
            let hash = tx["hash"].as_str().unwrap_or_default().to_owned();
            let input: Bytes = serde_json::from_value(tx["input"].clone())?;
            Ok(Waiting { hash, input })
        })
        .collect()
}
