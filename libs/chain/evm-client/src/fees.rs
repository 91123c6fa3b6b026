//! What a transaction should offer for its gas, from what nodes say about it in their different ways.

use alloy_primitives::U128;
use chain::ClientError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::node::{Header, Node};

/// What a transaction offers for its gas (EIP-1559), wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// The most paid altogether.
    pub max: u128,
    /// The tip in it.
    pub tip: u128,
}

/// What a transaction should offer now, in the form that the chain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The chain has a base fee.
    Eip1559(Fees),
    /// The chain's blocks have none: one price, wei per gas.
    Legacy {
        /// The price.
        price: u128,
    },
}

/// `eth_feeHistory`, as far as it is there: providers leave out members, and put null into lists.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    base_fee_per_gas: Option<Vec<Option<U128>>>,
    reward: Option<Vec<Option<Vec<Option<U128>>>>>,
}

impl History {
    /// Of the block after the newest; wei per gas.
    fn next_base_fee(&self) -> Option<u128> {
        Some((*self.base_fee_per_gas.as_ref()?.last()?)?.to())
    }

    /// The median of what recent blocks' middle transactions tipped.
    fn tip(&self) -> Option<u128> {
        let blocks = self.reward.iter().flatten().flatten();
        let mut tips: Vec<u128> = blocks.filter_map(|block| Some((*block.first()?)?.to())).collect();
        tips.sort_unstable();
        tips.get(tips.len() / 2).copied()
    }
}

impl Node {
    /// What a transaction in the block after `head` should offer, at least `least_tip` for the block's maker.
    pub(crate) async fn offer(&self, head: &Header, least_tip: u128) -> Result<Offer, ClientError> {
        let asked = [
            ("eth_feeHistory", json!(["0x5", "latest", [50]])),
            ("eth_maxPriorityFeePerGas", json!([])),
            ("eth_gasPrice", json!([])),
        ];
        let mut answers = self.batch(&asked).await.into_iter();
        // A method that a node does not have says nothing; a node that can't answer says nothing of the chain.
        let mut next = || match answers.next() {
            Some(Err(ClientError::Node { .. })) | None => Ok(Value::Null),
            Some(other) => other,
        };
        let (history, tip, price) = (next()?, wei(&next()?), wei(&next()?));
        let history = serde_json::from_value(history).unwrap_or_default();
        let offer = offer(head.base_fee(), &history, tip, price, least_tip);
        offer.ok_or_else(|| self.malformed("eth_gasPrice", "a price of gas in any of three ways"))
    }
}

fn wei(value: &Value) -> Option<u128> {
    U128::deserialize(value).ok().map(|wei| wei.to())
}

/// `base_fee` is the newest block's. The tip is at least what the node asks for, at least `least_tip`, and makes the
/// offer at least the node's price of gas; the base fee may double before the transaction is mined.
fn offer(
    base_fee: Option<u128>,
    history: &History,
    tip: Option<u128>,
    price: Option<u128>,
    least_tip: u128,
) -> Option<Offer> {
    let Some(base_fee) = base_fee else {
        return Some(Offer::Legacy { price: price?.max(least_tip) });
    };
    let above_base = price.map(|price| price.saturating_sub(base_fee));
    let tips = [history.tip(), tip, above_base, Some(least_tip)];
    let tip = tips.into_iter().flatten().max().unwrap_or(least_tip);
    let next = history.next_base_fee().unwrap_or(base_fee).max(base_fee);
    Some(Offer::Eip1559(Fees { max: next.saturating_mul(2).saturating_add(tip), tip }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn history(value: Value) -> History {
        serde_json::from_value(value).unwrap()
    }

    fn dynamic(base: u128, history: Value, tip: Option<u128>, price: Option<u128>) -> Fees {
        match offer(Some(base), &self::history(history), tip, price, 7).unwrap() {
            Offer::Eip1559(fees) => fees,
            legacy @ Offer::Legacy { .. } => panic!("{legacy:?}"),
        }
    }

    #[test]
    fn the_offer_leaves_room_for_the_base_fee_to_double() {
        let told = json!({"baseFeePerGas": ["0x5", "0x64"], "reward": [["0x4c4b40"], ["0x1"], ["0x2dc6c0"]]});
        assert_eq!(dynamic(90, told, None, None), Fees { max: 3_000_200, tip: 3_000_000 });
        assert_eq!(dynamic(u128::MAX, json!({}), None, None).max, u128::MAX);
    }

    #[test]
    fn every_shape_of_a_history_gives_an_offer() {
        for shape in [
            json!({}),
            json!({"reward": null, "baseFeePerGas": null}),
            json!({"reward": [], "baseFeePerGas": []}),
            json!({"reward": [[]], "baseFeePerGas": [null]}),
            json!({"reward": [null, [null]], "baseFeePerGas": ["0x64"]}),
        ] {
            assert_eq!(dynamic(100, shape.clone(), None, None), Fees { max: 207, tip: 7 }, "{shape}");
        }
        let zero = json!({"reward": [["0x0"], ["0x0"]], "baseFeePerGas": ["0x0", "0x0"]});
        assert_eq!(dynamic(0, zero, None, None), Fees { max: 7, tip: 7 });
    }

    #[test]
    fn what_the_node_wants_at_least_is_offered() {
        let zero = || json!({"reward": [["0x0"]], "baseFeePerGas": ["0x0", "0x0"]});
        assert_eq!(dynamic(0, zero(), Some(GWEI), None).tip, GWEI);
        assert_eq!(dynamic(0, zero(), Some(GWEI), Some(3 * GWEI)).tip, 3 * GWEI);
        assert_eq!(dynamic(3 * GWEI, zero(), None, Some(3 * GWEI)).tip, 7, "the base fee is in the price");
    }

    #[test]
    fn blocks_without_a_base_fee_take_one_price() {
        let zero = history(json!({"reward": [["0x0"]], "baseFeePerGas": ["0x0", "0x0"]}));
        assert_eq!(offer(None, &zero, Some(1), Some(5 * GWEI), 7), Some(Offer::Legacy { price: 5 * GWEI }));
        assert_eq!(offer(None, &zero, Some(1), Some(1), 7), Some(Offer::Legacy { price: 7 }));
        assert_eq!(offer(None, &zero, Some(1), None, 7), None);
    }
}
