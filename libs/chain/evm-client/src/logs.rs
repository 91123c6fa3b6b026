//! What Safes executed, by their own events: one search of all that are asked for at the same time, newest blocks
//! first, in windows as wide as the node allows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use alloy_primitives::Address;
use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::{SolEvent, sol};
use chain::{ClientError, Inability};
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    fault::wants_fewer_blocks,
    node::Node,
    queue::{Execution, Search},
    reads::tag,
};

/// How long a search waits for others.
const GATHER: Duration = Duration::from_millis(2);
/// Contracts in one search: what geth takes at most is 1,000.
const MOST_CONTRACTS: usize = 500;

sol! {
    event ExecutionSuccess(bytes32 indexed txHash, uint256 payment);
    event ExecutionFailure(bytes32 indexed txHash, uint256 payment);
}

impl Node {
    /// The newest executions of a Safe in `blocks` (both included), oldest first: at least `enough` of them, or all
    /// that there are.
    pub(crate) async fn executions(
        self: &Arc<Self>,
        safe: Address,
        enough: u64,
        blocks: (u64, u64),
    ) -> Result<Vec<Execution>, ClientError> {
        let (tell, told) = oneshot::channel();
        if self.searches.push(Search { safe, enough, blocks, tell }) {
            let node = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                node.search(node.searches.take()).await;
            });
        }
        told.await
            .unwrap_or_else(|_| Err(self.unable("eth_getLogs", Inability::Behind("the search was cut short".into()))))
    }

    /// From the newest block back, window by window, until everybody has enough.
    async fn search(&self, mut searches: Vec<Search>) {
        let mut found: BTreeMap<Address, Vec<Execution>> = BTreeMap::new();
        let mut end = searches.iter().map(|search| search.blocks.1).max().unwrap_or_default();
        loop {
            let (done, open): (Vec<_>, Vec<_>) = searches.into_iter().partition(|search| {
                let (first, last) = search.blocks;
                let of = found.get(&search.safe).map(Vec::as_slice).unwrap_or_default();
                let known = of.iter().filter(|found| (first..=last).contains(&found.block)).count() as u64;
                first > end || first > last || known >= search.enough
            });
            for search in done {
                let (first, last) = search.blocks;
                let of = found.get(&search.safe).map(Vec::as_slice).unwrap_or_default();
                let own = of.iter().filter(|found| (first..=last).contains(&found.block)).copied().collect();
                // A caller may have gone away.
                let _ = search.tell.send(Ok(own));
            }
            searches = open;
            let Some(oldest) = searches.iter().map(|search| search.blocks.0).min() else { return };
            let safes: BTreeSet<Address> = searches.iter().map(|search| search.safe).collect();
            match self.window(&safes, oldest, end).await {
                Ok((start, executions)) => {
                    for (safe, mut executions) in executions {
                        let later = found.remove(&safe).unwrap_or_default();
                        executions.extend(later);
                        found.insert(safe, executions);
                    }
                    // Block 0 holds no execution.
                    end = start.saturating_sub(1);
                    if start == 0 {
                        searches.iter_mut().for_each(|search| search.enough = 0);
                    }
                }
                Err(error) => {
                    for search in searches {
                        let _ = search.tell.send(Err(error.clone()));
                    }
                    return;
                }
            }
        }
    }

    /// What these Safes executed in the widest window before `end` that the node allows, and where it starts.
    async fn window(
        &self,
        safes: &BTreeSet<Address>,
        oldest: u64,
        end: u64,
    ) -> Result<(u64, BTreeMap<Address, Vec<Execution>>), ClientError> {
        let window = || self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let safes: Vec<Address> = safes.iter().copied().collect();
        loop {
            let start = oldest.max((end + 1).saturating_sub(window().width));
            let width = end + 1 - start;
            let mut found: BTreeMap<Address, Vec<Execution>> = BTreeMap::new();
            let mut refused = None;
            for part in safes.chunks(MOST_CONTRACTS) {
                match self.logs(part, (start, end)).await {
                    Ok(logs) => logs.into_iter().for_each(|(safe, log)| found.entry(safe).or_default().push(log)),
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            match refused {
                None => {
                    window().took(width);
                    return Ok((start, found));
                }
                Some(error) if wants_fewer_blocks(&error) && window().refused(width) => {}
                Some(error) => return Err(error),
            }
        }
    }

    async fn logs(
        &self,
        safes: &[Address],
        (start, end): (u64, u64),
    ) -> Result<Vec<(Address, Execution)>, ClientError> {
        let method = "eth_getLogs";
        let events = vec![ExecutionSuccess::SIGNATURE_HASH, ExecutionFailure::SIGNATURE_HASH];
        let filter = Filter::new().address(safes.to_vec()).event_signature(events);
        let mut filter = serde_json::to_value(filter).map_err(|_| self.malformed(method, "a filter"))?;
        (filter["fromBlock"], filter["toBlock"]) = (json!(tag(start)), json!(tag(end)));
        let logs: Vec<Log> = self.ask(method, json!([filter]), "logs").await?;
        let execution = |log: Log| {
            let [event, digest] = log.inner.data.topics()[..] else { return None };
            let success = event == ExecutionSuccess::SIGNATURE_HASH;
            let ours = success || event == ExecutionFailure::SIGNATURE_HASH;
            let (tx, block) = (log.transaction_hash?, log.block_number?);
            let asked = safes.contains(&log.inner.address) && (start..=end).contains(&block) && !log.removed;
            (ours && asked).then_some((log.inner.address, Execution { digest, tx, block, success }))
        };
        let executions: Option<Vec<_>> = logs.into_iter().map(execution).collect();
        executions.ok_or_else(|| self.malformed(method, "the execution events that were asked for"))
    }
}
