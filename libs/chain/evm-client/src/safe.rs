//! A Safe as the chain has it.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use chain::{Amount, ClientError, Held};

use crate::{
    call::{Call, word},
    node::Node,
    queue::{Answer, Read},
};

sol! {
    function nonce() returns (uint256);
    function getThreshold() returns (uint256);
    function getOwners() returns (address[]);
    function transfer(address to, uint256 amount);
    function balanceOf(address owner) returns (uint256);
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
    /// What it holds of each token asked for, in that order.
    pub tokens: Vec<Held>,
}

impl SafeState {
    /// Whether another node says the same: why a token can't be read, each says in words of its own.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let units = |state: &Self| state.tokens.iter().map(Held::units).collect::<Vec<_>>();
        let rest = |state: &Self| Self { tokens: Vec::new(), ..state.clone() };
        rest(self) == rest(other) && units(self) == units(other)
    }
}

/// Reads of a Safe itself, beside its tokens.
pub(crate) const OWN: usize = 4;

/// What is read of the Safe itself.
pub(crate) fn own_reads(safe: Address) -> [Read; OWN] {
    let call = |data: Vec<u8>| Read::Call(safe, data.into());
    let [nonce, threshold, owners] =
        [nonceCall {}.abi_encode(), getThresholdCall {}.abi_encode(), getOwnersCall {}.abi_encode()].map(call);
    [Read::Balance(safe), nonce, threshold, owners]
}

/// What a token says that the Safe holds.
pub(crate) fn balance_of(token: Address, safe: Address) -> Read {
    Read::Call(token, balanceOfCall { owner: safe }.abi_encode().into())
}

impl Node {
    /// State of the Safe at `safe` at the end of `block`, with its balances of `tokens`.
    pub(crate) async fn safe(
        self: Arc<Self>,
        safe: Address,
        tokens: &[Address],
        block: u64,
    ) -> Result<SafeState, ClientError> {
        let balance = |token: &Address| balance_of(*token, safe);
        let reads = own_reads(safe).into_iter().chain(tokens.iter().map(balance));
        let answers = self.read(block, reads.collect()).await?;
        let Some((own, held)) = answers.split_at_checked(OWN) else {
            return Err(self.malformed("eth_call", "an answer to each of the calls"));
        };
        let held = tokens.iter().zip(held).map(|(token, answer)| units(*token, answer));
        self.safe_state(block, own, held.collect())
    }

    /// What the answers to [`own_reads`] say.
    pub(crate) fn safe_state(&self, block: u64, own: &[Answer], tokens: Vec<Held>) -> Result<SafeState, ClientError> {
        let malformed = |expected| self.malformed("eth_call", expected);
        let [native, nonce, threshold, owners] = own else {
            return Err(malformed("an answer to each of the calls"));
        };
        let native = native.as_ref().ok().and_then(|wei| word(wei)).ok_or_else(|| malformed("a balance"))?;
        let mut state =
            SafeState { block, deployed: false, nonce: 0, threshold: 0, owners: Vec::new(), native, tokens };
        // An account without code answers every call with nothing.
        let nothing = |answer: &Answer| answer.as_ref().is_ok_and(|bytes| bytes.is_empty());
        if [nonce, threshold, owners].into_iter().all(nothing) {
            return Ok(state);
        }
        state.deployed = true;
        // Whatever else answers otherwise has no owners that could be ours.
        if let (Ok(nonce), Ok(threshold), Ok(owners)) = (nonce, threshold, owners)
            && let Ok(owners) = getOwnersCall::abi_decode_returns_validate(owners)
        {
            (state.nonce, state.owners) = (word(nonce).unwrap_or_default().saturating_to(), owners);
            state.threshold = word(threshold).unwrap_or_default().saturating_to();
        }
        Ok(state)
    }

    /// The nonce that the Safe's next transaction must have, at the end of `block`.
    pub(crate) async fn safe_nonce(self: Arc<Self>, safe: Address, block: u64) -> Result<u64, ClientError> {
        let reads = vec![Read::Call(safe, nonceCall {}.abi_encode().into())];
        let nonce = match self.read(block, reads).await?.into_iter().next() {
            Some(Ok(nothing)) if nothing.is_empty() => Some(0),
            Some(Ok(nonce)) => word(&nonce).map(|nonce| nonce.saturating_to()),
            _ => None,
        };
        nonce.ok_or_else(|| self.malformed("eth_call", "a Safe's nonce"))
    }

    /// Whether the Safe could move `amount` of `token` (`None` is the native coin) to `to` at the end of `block`, asked
    /// as if the Safe itself called: before anything is signed.
    pub(crate) async fn simulate_transfer(
        self: Arc<Self>,
        safe: Address,
        token: Option<Address>,
        to: Address,
        amount: U256,
        block: u64,
    ) -> Result<(), ClientError> {
        let Some(token) = token else {
            let call = Call { to, value: amount, data: Bytes::new() };
            return self.call(safe, &call, Some(block)).await.map(drop);
        };
        let refuse = |reason: &str| ClientError::Reverted { method: "eth_call", reason: reason.to_owned() };
        let data = Bytes::from(transferCall { to, amount }.abi_encode());
        let answer = self.call(safe, &Call { to: token, value: U256::ZERO, data }, Some(block)).await?;
        // Old tokens return nothing; the others must say true. The Safe itself does not look.
        match word(&answer) {
            None if answer.is_empty() && self.code(token, Some(block)).await?.is_empty() => {
                Err(refuse("there is no contract at the token's address"))
            }
            None if answer.is_empty() => Ok(()),
            Some(word) if word == U256::ONE => Ok(()),
            _ => Err(refuse("the token's transfer returns false")),
        }
    }
}

/// What `balanceOf` says.
pub(crate) fn units(token: Address, answer: &Answer) -> Held {
    match answer {
        Ok(bytes) => match word(bytes) {
            Some(units) => Held::Units(Amount(units)),
            None if bytes.is_empty() => Held::Unreadable(format!(
                "{token} does not answer balanceOf; is there a token's contract at this address on this chain?"
            )),
            None => {
                Held::Unreadable(format!("{token} answers balanceOf with {} bytes instead of a number", bytes.len()))
            }
        },
        Err(reason) => Held::Unreadable(format!("balanceOf of {token} reverts: {reason}")),
    }
}
