//! What can go wrong between us and a chain.

use crate::{Amount, ChainError, ChainId, JournalError, Stuck};

/// Why the chain did not do what was asked. The text names the method of the node and what the node said, and never the
/// path of the node's URL: that is where providers put API keys.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL can't be used.
    #[error("the node's URL is malformed: expected http://HOST:PORT or https://HOST/PATH")]
    Url,
    /// No answer, or none from the node itself: the same request may be made again.
    #[error("{method}: the node at {node} is away: {reason}")]
    Away {
        /// Method of the node.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// What happened instead of an answer.
        reason: String,
    },
    /// The node refused the request.
    #[error("{method}: the node at {node} says: {message} (code {code})")]
    Node {
        /// Method of the node.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// The node's error code.
        code: i64,
        /// The node's own words.
        message: String,
    },
    /// The chain's code refuses the call: asking again changes nothing until the chain's state does.
    #[error("{method}: the call reverts: {reason}")]
    Reverted {
        /// Method of the node.
        method: &'static str,
        /// What the code said.
        reason: String,
    },
    /// The answer is not what the method's specification says.
    #[error("{method}: the node at {node} answered something else than {expected}; is it an {interface} node?")]
    Malformed {
        /// Method of the node.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// What was expected.
        expected: &'static str,
        /// What such nodes speak.
        interface: &'static str,
    },
    /// The node serves another chain.
    #[error("the node at {node} serves chain {found}, not {expected}; point the URL to the right chain")]
    WrongChain {
        /// Scheme, host and port.
        node: String,
        /// The chain asked for.
        expected: ChainId,
        /// The chain found.
        found: ChainId,
    },
    /// The relayer can't pay.
    #[error("the relayer {relayer} holds {balance} {unit} and this transaction may cost {needed} {unit}; send it more")]
    Float {
        /// Who pays.
        relayer: String,
        /// What it has.
        balance: Amount,
        /// The most that the transaction may cost.
        needed: Amount,
        /// Name of the smallest unit.
        unit: &'static str,
    },
    /// Sent, not mined within the time given.
    #[error("transaction {0} is sent and not mined yet")]
    Pending(String),
    /// Sent, and not mined for a reason that time alone may not change.
    #[error("transaction {tx} is not mined: {why}")]
    Stuck {
        /// The chain's name of the transaction.
        tx: String,
        /// Why.
        why: Box<Stuck>,
    },
    /// The call takes more work than the relayer pays for: nothing was sent.
    #[error("the call needs {needed} gas and the configured ceiling is {ceiling}")]
    OverGas {
        /// What the node estimates.
        needed: u64,
        /// The configured most.
        ceiling: u64,
    },
    /// The chain is dearer than the relayer may offer: nothing was sent.
    #[error("a block takes {asked} wei a gas and the configured ceiling is {ceiling}; sent when fees have fallen")]
    OverPrice {
        /// What the chain asks for a unit of work.
        asked: u128,
        /// The configured most.
        ceiling: u128,
    },
    /// What is about to be sent can't be kept: nothing was sent.
    #[error("the record of what the relayer sends can't be used: {0}")]
    Journal(JournalError),
    /// The relayer's key can't be used.
    #[error("the relayer key is malformed: expected {expected}")]
    Key {
        /// Its form.
        expected: &'static str,
    },
    /// The client was made without a relayer's key.
    #[error("there is no relayer for {0}: nothing can be sent without the key of one")]
    NoRelayer(ChainId),
    /// What was handed in is none of this chain's.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl ClientError {
    /// Whether the same request may simply be made again.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
