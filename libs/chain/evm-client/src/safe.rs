//! A Safe as the chain has it.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, sol};
use chain::ClientError;

use crate::{
    quantity::word,
    rpc::{Call, LOG_RANGE, Log, Rpc},
};

sol! {
    function nonce() returns (uint256);
    function getThreshold() returns (uint256);
    function getOwners() returns (address[]);
    function transfer(address to, uint256 amount);
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
    /// What its owners signed.
    pub digest: B256,
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

    /// The nonce that the Safe's next transaction must have.
    pub async fn safe_nonce(&self, safe: Address) -> Result<u64, ClientError> {
        if self.code(safe, None).await?.is_empty() {
            return Ok(0);
        }
        Ok(self.read(safe, nonceCall {}, None, "a Safe's nonce").await?.saturating_to())
    }

    /// Everything that the Safe executed at or after block `from`, oldest first: one entry per nonce used. Fewer
    /// entries than nonces used mean that the node has not indexed them yet.
    pub async fn executions(&self, safe: Address, from: u64) -> Result<Vec<Execution>, ClientError> {
        let newest = self.block_number().await?;
        let mut found = Vec::new();
        let mut start = from;
        while start <= newest {
            let end = newest.min(start.saturating_add(LOG_RANGE - 1));
            found.extend(self.executed(safe, None, (start, end)).await?);
            start = end + 1;
        }
        Ok(found)
    }

    /// Where the Safe executed the transaction with `digest`, if that was in the newest `depth` blocks.
    pub async fn execution_of(
        &self,
        safe: Address,
        digest: B256,
        depth: u64,
    ) -> Result<Option<Execution>, ClientError> {
        let newest = self.block_number().await?;
        let oldest = newest.saturating_sub(depth);
        let mut end = newest;
        loop {
            let start = oldest.max(end.saturating_sub(LOG_RANGE - 1));
            if let Some(found) = self.executed(safe, Some(digest), (start, end)).await?.pop() {
                return Ok(Some(found));
            }
            if start == oldest {
                return Ok(None);
            }
            end = start - 1;
        }
    }

    async fn executed(
        &self,
        safe: Address,
        digest: Option<B256>,
        blocks: (u64, u64),
    ) -> Result<Vec<Execution>, ClientError> {
        let events = [ExecutionSuccess::SIGNATURE_HASH, ExecutionFailure::SIGNATURE_HASH];
        let execution = |log: Log| match log.topics[..] {
            [event, digest] => {
                let success = event == ExecutionSuccess::SIGNATURE_HASH;
                Some(Execution { digest, tx: log.tx, block: log.block, success })
            }
            _ => None,
        };
        let logs = self.logs(safe, &events, digest, blocks).await?;
        let executions: Option<Vec<_>> = logs.into_iter().map(execution).collect();
        executions.ok_or_else(|| self.malformed("eth_getLogs", "a Safe's execution events"))
    }

    /// Whether the Safe could move `amount` of `token` (`None` is the native coin) to `to` now, asked as if the Safe
    /// itself called: before anything is signed.
    pub async fn simulate_transfer(
        &self,
        safe: Address,
        token: Option<Address>,
        to: Address,
        amount: U256,
    ) -> Result<(), ClientError> {
        let Some(token) = token else {
            let call = Call { to, value: amount, data: Bytes::new() };
            return self.call(safe, &call, None).await.map(drop);
        };
        let refuse = |reason: &str| ClientError::Reverted { method: "eth_call", reason: reason.to_owned() };
        if self.code(token, None).await?.is_empty() {
            return Err(refuse("there is no contract at the token's address"));
        }
        let data = Bytes::from(transferCall { to, amount }.abi_encode());
        let answer = self.call(safe, &Call { to: token, value: U256::ZERO, data }, None).await?;
        // Old tokens return nothing; the others must say true. The Safe itself does not look.
        match word(&answer) {
            None if answer.is_empty() => Ok(()),
            Some(word) if word == U256::ONE => Ok(()),
            _ => Err(refuse("the token's transfer returns false")),
        }
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
