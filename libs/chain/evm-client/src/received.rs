//! What a token says that it moved. A token may keep a part, or move nothing and return true all the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::Log;
use alloy_sol_types::{SolCall, SolEvent, sol};
use chain::{ClientError, Inability};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    call::word,
    node::Node,
    queue::{Read, Wanted},
};

/// How long a question for a receipt waits for others: one transaction may hold what many ask for.
const GATHER: Duration = Duration::from_millis(2);

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    function balanceOf(address owner) returns (uint256);
}

/// A receipt, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Receipt {
    logs: Vec<Log>,
}

impl Node {
    /// Units of `token` that went from one account to another in the mined transaction `tx` of block `block`: the sum of
    /// its ERC-20 events, or, of a token that tells no events, what one has less and the other has more than before the
    /// block. A token that tells neither has moved nothing.
    pub(crate) async fn received(
        self: Arc<Self>,
        token: Address,
        (from, to): (Address, Address),
        tx: B256,
        block: u64,
    ) -> Result<U256, ClientError> {
        if let Some(units) = transferred(&self.logs_of(tx).await?, token, from, to) {
            return Ok(units);
        }
        let (after, before) = (self.units(token, to, block).await?, self.units(token, to, block - 1).await?);
        let gained = after.saturating_sub(before);
        if gained.is_zero() {
            return Ok(gained);
        }
        // Others may have paid the receiver in the same block.
        let (after, before) = (self.units(token, from, block).await?, self.units(token, from, block - 1).await?);
        Ok(gained.min(before.saturating_sub(after)))
    }

    /// What the contracts told in a mined transaction. Questions for the same at the same time are one request.
    async fn logs_of(self: &Arc<Self>, tx: B256) -> Result<Arc<Vec<Log>>, ClientError> {
        let (tell, told) = oneshot::channel();
        if self.receipts.push(Wanted { tx, tell }) {
            let node = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                let mut wanted: BTreeMap<B256, Vec<Wanted>> = BTreeMap::new();
                for one in node.receipts.take() {
                    wanted.entry(one.tx).or_default().push(one);
                }
                join_all(wanted.into_iter().map(|(tx, wanted)| node.tell_logs(tx, wanted))).await;
            });
        }
        let cut = || self.unable("eth_getTransactionReceipt", Inability::Behind("the question was cut short".into()));
        told.await.unwrap_or_else(|_| Err(cut()))
    }

    async fn tell_logs(&self, tx: B256, wanted: Vec<Wanted>) {
        let method = "eth_getTransactionReceipt";
        let receipt = self.ask::<Receipt>(method, json!([tx.to_string()]), "the receipt of a payment").await;
        let logs = receipt.map(|Receipt { logs }| Arc::new(logs));
        for Wanted { tell, .. } in wanted {
            // A caller may have gone away.
            let _ = tell.send(logs.clone());
        }
    }

    /// Units that `owner` has of the token; none of a token that does not tell.
    async fn units(self: &Arc<Self>, token: Address, owner: Address, block: u64) -> Result<U256, ClientError> {
        let data = Bytes::from(balanceOfCall { owner }.abi_encode());
        let answer = self.read(block, vec![Read::Call(token, data)]).await?.into_iter().next();
        Ok(answer.and_then(Result::ok).and_then(|bytes| word(&bytes)).unwrap_or_default())
    }
}

/// The sum of the token's transfers from one account to another; `None` if there is no event of them.
fn transferred(logs: &[Log], token: Address, from: Address, to: Address) -> Option<U256> {
    let topics = [Transfer::SIGNATURE_HASH, from.into_word(), to.into_word()];
    let ours = logs.iter().filter(|log| log.inner.address == token && log.inner.data.topics() == topics);
    ours.filter_map(|log| word(&log.inner.data.data)).reduce(U256::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_the_tokens_own_transfers_between_the_two_count() {
        let (token, from, to) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let log = |token: Address, from: Address, to: Address, units: u64| {
            let topics = [Transfer::SIGNATURE_HASH, from.into_word(), to.into_word()];
            json!({
                "address": token.to_string(),
                "topics": topics.map(|topic| topic.to_string()),
                "data": B256::from(U256::from(units)).to_string(),
                "blockNumber": "0x1", "blockHash": B256::ZERO.to_string(), "transactionIndex": "0x0",
                "transactionHash": B256::ZERO.to_string(), "logIndex": "0x0", "removed": false,
            })
        };
        let sum = |logs: &[&Value]| {
            let receipt: Receipt = serde_json::from_value(json!({"logs": logs})).unwrap();
            transferred(&receipt.logs, token, from, to)
        };
        let foreign = [log(from, from, to, 4), log(token, to, from, 4), log(token, from, token, 4)];
        assert_eq!(sum(&foreign.each_ref()), None);
        let two = [log(token, from, to, 7), log(token, from, to, 2)];
        assert_eq!(sum(&[&two[0], &foreign[0], &two[1]]), Some(U256::from(9)));
        assert_eq!(sum(&[&log(token, from, to, 0)]), Some(U256::ZERO));
    }
}
