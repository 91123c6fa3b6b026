//! A call, and what it answers.

use alloy_primitives::{Address, Bytes, U256};
use chain::ChainError;

/// A message call, for `eth_call` and for the relayer's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract or account called.
    pub to: Address,
    /// Coins sent along, wei.
    pub value: U256,
    /// ABI-encoded arguments.
    pub data: Bytes,
}

impl TryFrom<&chain::Call> for Call {
    type Error = ChainError;

    fn try_from(call: &chain::Call) -> Result<Self, ChainError> {
        let to = call.to.parse().map_err(|_| ChainError::Address(call.to.clone()))?;
        Ok(Self { to, value: U256::ZERO, data: call.data.clone().into() })
    }
}

/// A word of an ABI-encoded answer.
pub(crate) fn word(bytes: &[u8]) -> Option<U256> {
    (bytes.len() == 32).then(|| U256::from_be_slice(bytes))
}
