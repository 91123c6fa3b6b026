//! Reads of state at one block: those that come at the same time go out together, as one call of Multicall3 where the
//! chain has it, as a batch of JSON-RPC where it has not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use chain::{ClientError, Inability};
use chain_evm::constants::{MULTICALL, MULTICALL_CODE_HASH};
use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    node::Node,
    queue::{Answer, Read, Waiting},
};

/// How long a read waits for others.
const GATHER: Duration = Duration::from_millis(2);
/// Reads in one Multicall3, so that it stays within what nodes spend on one call.
const MOST_IN_CALL: usize = 400;

sol! {
    #[derive(Debug)]
    struct Asked { address target; bool allowFailure; bytes callData; }
    #[derive(Debug)]
    struct Answered { bool success; bytes returnData; }
    function aggregate3(Asked[] calls) external payable returns (Answered[] returnData);
    function getEthBalance(address addr) external view returns (uint256 balance);
}

impl Node {
    /// What each read returns at the end of `block`.
    pub(crate) async fn read(self: &Arc<Self>, block: u64, reads: Vec<Read>) -> Result<Vec<Answer>, ClientError> {
        let (tell, told) = oneshot::channel();
        if self.reads.push(Waiting { block, reads, tell }) {
            let node = self.clone();
            // On a task of its own: a caller that goes away leaves the others theirs.
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                node.send_reads(node.reads.take()).await;
            });
        }
        told.await.unwrap_or_else(|_| Err(self.unable("eth_call", Inability::Behind("the read was cut short".into()))))
    }

    async fn send_reads(&self, waiting: Vec<Waiting>) {
        let mut blocks: BTreeMap<u64, Vec<Waiting>> = BTreeMap::new();
        for read in waiting {
            blocks.entry(read.block).or_default().push(read);
        }
        join_all(blocks.into_iter().map(|(block, waiting)| self.send_at(block, waiting))).await;
    }

    async fn send_at(&self, block: u64, waiting: Vec<Waiting>) {
        let all: Vec<Read> = waiting.iter().flat_map(|waiting| waiting.reads.clone()).collect();
        let parts = all.chunks(MOST_IN_CALL).map(|part| self.part(block, part));
        let answers: Result<Vec<Vec<Answer>>, ClientError> = try_join_all(parts).await;
        let mut answers = answers.map(|parts| parts.into_iter().flatten());
        for Waiting { reads, tell, .. } in waiting {
            let own = match &mut answers {
                Ok(answers) => Ok(answers.take(reads.len()).collect()),
                Err(error) => Err(error.clone()),
            };
            // A caller may have gone away.
            let _ = tell.send(own);
        }
    }

    async fn part(&self, block: u64, reads: &[Read]) -> Result<Vec<Answer>, ClientError> {
        if reads.len() > 1 && self.has_multicall().await? {
            match self.in_one_call(block, reads).await {
                // Too much for one call.
                Err(ClientError::Reverted { .. } | ClientError::Node { .. }) => {}
                other => return other,
            }
        }
        self.one_by_one(block, reads).await
    }

    /// Another code at that address is not believed.
    pub(crate) async fn has_multicall(&self) -> Result<bool, ClientError> {
        let code = self.multicall.get_or_try_init(async || {
            let code: Bytes = self.ask("eth_getCode", json!([MULTICALL.to_string(), "latest"]), "code").await?;
            Ok::<_, ClientError>(keccak256(&code) == MULTICALL_CODE_HASH)
        });
        code.await.copied()
    }

    async fn in_one_call(&self, block: u64, reads: &[Read]) -> Result<Vec<Answer>, ClientError> {
        let together = self.together(block, reads).await?;
        self.explained(block, reads, together).await
    }

    /// One call of Multicall3. `None`: the read fails among the others.
    pub(crate) async fn together(&self, block: u64, reads: &[Read]) -> Result<Vec<Option<Bytes>>, ClientError> {
        let asked = |read: &Read| match read {
            Read::Balance(account) => {
                let data = getEthBalanceCall { addr: *account }.abi_encode();
                Asked { target: MULTICALL, allowFailure: true, callData: data.into() }
            }
            Read::Call(to, data) => Asked { target: *to, allowFailure: true, callData: data.clone() },
        };
        let data = aggregate3Call { calls: reads.iter().map(asked).collect() }.abi_encode();
        let call = json!([{"to": MULTICALL.to_string(), "data": Bytes::from(data).to_string()}, tag(block)]);
        let answer: Bytes = self.ask("eth_call", call, "bytes").await?;
        if answer.is_empty() {
            // It was not there yet at that block.
            return Ok(vec![None; reads.len()]);
        }
        let answered = aggregate3Call::abi_decode_returns_validate(&answer).ok();
        let answered = answered.filter(|answered| answered.len() == reads.len());
        let answered = answered.ok_or_else(|| self.malformed("eth_call", "an answer to each of the calls"))?;
        Ok(answered.into_iter().map(|answer| answer.success.then_some(answer.returnData)).collect())
    }

    pub(crate) async fn one_by_one(&self, block: u64, reads: &[Read]) -> Result<Vec<Answer>, ClientError> {
        let asked: Vec<(&'static str, Value)> = reads
            .iter()
            .map(|read| match read {
                Read::Balance(account) => ("eth_getBalance", json!([account.to_string(), tag(block)])),
                Read::Call(to, data) => {
                    ("eth_call", json!([{"to": to.to_string(), "data": data.to_string()}, tag(block)]))
                }
            })
            .collect();
        let answers = self.batch(&asked).await.into_iter().zip(reads).map(|(answer, read)| match (answer, read) {
            (Ok(value), Read::Balance(_)) => {
                let wei: U256 =
                    serde_json::from_value(value).map_err(|_| self.malformed("eth_getBalance", "a balance"))?;
                Ok(Ok(Bytes::from(wei.to_be_bytes::<32>())))
            }
            (Ok(value), Read::Call(..)) => {
                serde_json::from_value(value).map(Ok).map_err(|_| self.malformed("eth_call", "bytes"))
            }
            (Err(ClientError::Reverted { reason, .. }), _) => Ok(Err(reason)),
            (Err(error), _) => Err(error),
        });
        answers.collect()
    }
}

/// A block's number, as parameters have it.
pub(crate) fn tag(block: u64) -> String {
    format!("{block:#x}")
}
