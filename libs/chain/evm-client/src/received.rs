//! What a token says that it moved. A token may keep a part, or move nothing and return true all the same.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolEvent, sol};
use chain::ClientError;
use serde_json::{Value, json};

use crate::{
    quantity::{address, bytes, hash, word},
    rpc::Rpc,
};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

impl Rpc {
    /// Units of `token` that went from one account to another in the mined transaction `tx` of block `block`: the sum of
    /// its ERC-20 events, or, of a token that tells no events, what the receiver has more than before the block. A token
    /// that tells neither has moved nothing.
    pub async fn received(
        &self,
        token: Address,
        (from, to): (Address, Address),
        tx: B256,
        block: u64,
    ) -> Result<U256, ClientError> {
        let sum = |receipt: &Value| transferred(receipt, token, from, to);
        let told =
            self.ask("eth_getTransactionReceipt", json!([tx.to_string()]), "the receipt of a payment", sum).await?;
        match told {
            Some(units) => Ok(units),
            None => {
                let (after, before) = (self.units(token, to, block).await?, self.units(token, to, block - 1).await?);
                Ok(after.saturating_sub(before))
            }
        }
    }

    /// Units that `owner` has of the token; none of a token that does not tell.
    async fn units(&self, token: Address, owner: Address, block: u64) -> Result<U256, ClientError> {
        match self.erc20_balance(token, owner, Some(block)).await {
            Err(ClientError::Malformed { .. } | ClientError::Reverted { .. }) => Ok(U256::ZERO),
            other => other,
        }
    }
}

/// The sum of the token's transfers in a receipt; `Some(None)` if there is no event of them, `None` if it is not one.
fn transferred(receipt: &Value, token: Address, from: Address, to: Address) -> Option<Option<U256>> {
    let topics = [Transfer::SIGNATURE_HASH, from.into_word(), to.into_word()];
    let mut sum = None;
    for log in receipt["logs"].as_array()? {
        let found: Option<Vec<_>> = log["topics"].as_array()?.iter().map(hash).collect();
        if address(&log["address"])? == token && found? == topics {
            let value = word(&bytes(&log["data"])?)?;
            sum = Some(sum.unwrap_or(U256::ZERO).saturating_add(value));
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
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
            })
        };
        let sum = |logs: Value| transferred(&json!({"logs": logs}), token, from, to);
        let foreign = [log(from, from, to, 4), log(token, to, from, 4), log(token, from, token, 4)];
        assert_eq!(sum(json!(foreign)), Some(None));
        assert_eq!(
            sum(json!([log(token, from, to, 7), foreign[0], log(token, from, to, 2)])),
            Some(Some(U256::from(9)))
        );
        assert_eq!(sum(json!([log(token, from, to, 0)])), Some(Some(U256::ZERO)));
        assert_eq!(transferred(&Value::Null, token, from, to), None);
    }
}
