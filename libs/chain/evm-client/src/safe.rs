//! A Safe as the chain has it.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, sol};

use crate::{
    error::ClientError,
    rpc::{Call, Rpc},
};

sol! {
    function nonce() returns (uint256);
    function getThreshold() returns (uint256);
    function getOwners() returns (address[]);
    event ExecutionSuccess(bytes32 indexed txHash, uint256 payment);
    event ExecutionFailure(bytes32 indexed txHash, uint256 payment);
}

/// State of a Safe, all of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeState {
    /// Number of that block.
    pub block: u64,
    /// Whether there is code at the address. Before that, nonce and threshold are 0 and there are no owners.
    pub deployed: bool,
    /// The nonce that the next transaction must have.
    pub nonce: u64,
    /// Signatures needed.
    pub threshold: u64,
    /// Owners, in the contract's order.
    pub owners: Vec<Address>,
    /// Native coin, wei.
    pub native: U256,
    /// Units of each token asked for, in that order.
    pub tokens: Vec<U256>,
}

/// A Safe transaction that took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// The chain transaction in which it happened, whoever sent it.
    pub tx: B256,
    /// Number of its block.
    pub block: u64,
    /// False: the inner call failed, but the nonce is used up.
    pub success: bool,
}

impl Rpc {
    /// State of the Safe at `safe`, with its balances of `tokens`.
    pub async fn safe(&self, safe: Address, tokens: &[Address]) -> Result<SafeState, ClientError> {
        let block = self.block_number().await?;
        let at = Some(block);
        let deployed = !self.code(safe, at).await?.is_empty();
        let mut state = SafeState {
            block,
            deployed,
            nonce: 0,
            threshold: 0,
            owners: Vec::new(),
            native: self.balance(safe, at).await?,
            tokens: Vec::with_capacity(tokens.len()),
        };
        for token in tokens {
            state.tokens.push(self.erc20_balance(*token, safe, at).await?);
        }
        if deployed {
            state.nonce = self.read(safe, nonceCall {}, at, "a Safe's nonce").await?.saturating_to();
            state.threshold = self.read(safe, getThresholdCall {}, at, "a Safe's threshold").await?.saturating_to();
            state.owners = self.read(safe, getOwnersCall {}, at, "a Safe's owners").await?;
        }
        Ok(state)
    }

    /// Whether, and in which transaction, the Safe transaction with `digest` took place at or after block `from`.
    pub async fn executed(&self, safe: Address, digest: B256, from: u64) -> Result<Option<Execution>, ClientError> {
        let events = [ExecutionSuccess::SIGNATURE_HASH, ExecutionFailure::SIGNATURE_HASH];
        let logs = self.logs(safe, &events, digest, from).await?;
        Ok(logs.first().map(|log| Execution {
            tx: log.tx,
            block: log.block,
            success: log.topics.first() == Some(&ExecutionSuccess::SIGNATURE_HASH),
        }))
    }

    async fn read<C: SolCall>(
        &self,
        safe: Address,
        call: C,
        block: Option<u64>,
        expected: &'static str,
    ) -> Result<C::Return, ClientError> {
        let data = Bytes::from(call.abi_encode());
        let answer = self.call(safe, &Call { to: safe, value: U256::ZERO, data }, block).await?;
        C::abi_decode_returns_validate(&answer).map_err(|_| self.malformed("eth_call", expected))
    }
}
