//! What a token says that it moved. A token may keep a part, or move nothing and return true all the same.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::Log;
use alloy_sol_types::{SolCall, SolEvent, sol};
use chain::ClientError;
use serde::Deserialize;
use serde_json::json;

use crate::{call::word, node::Node, queue::Read};

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
    /// its ERC-20 events, or, of a token that tells no events, what the receiver has more than before the block. A token
    /// that tells neither has moved nothing.
    pub(crate) async fn received(
        self: Arc<Self>,
        token: Address,
        (from, to): (Address, Address),
        tx: B256,
        block: u64,
    ) -> Result<U256, ClientError> {
        let method = "eth_getTransactionReceipt";
        let Receipt { logs } = self.ask(method, json!([tx.to_string()]), "the receipt of a payment").await?;
        match transferred(&logs, token, from, to) {
            Some(units) => Ok(units),
            None => {
                let (after, before) = (self.units(token, to, block).await?, self.units(token, to, block - 1).await?);
                Ok(after.saturating_sub(before))
            }
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
