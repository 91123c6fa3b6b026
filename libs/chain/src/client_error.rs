//! What can go wrong between us and a chain.

use std::{error::Error, sync::Arc, time::Duration};

use crate::{Amount, ChainError, ChainId, Stuck};

/// Why the chain did not do what was asked. The text names the method of the node and what the node said, and never the
/// path of the node's URL: that is where providers put API keys.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// The node answers, and can't say now.
    #[error("{method}: the node at {node} {inability}")]
    Unable {
        /// Method of the node.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// Why it can't.
        inability: Inability,
    },
    /// The nodes say different things of the same block.
    #[error("the nodes {nodes} disagree about {what} at block {block}; waiting until enough of them say the same")]
    Disagree {
        /// Scheme, host and port of each.
        nodes: String,
        /// What they were asked for.
        what: String,
        /// Number of the block.
        block: u64,
    },
    /// Not as many nodes answer as must say the same.
    #[error("only {answering} of {nodes} nodes answer, and {needed} must say the same: {why}")]
    TooFew {
        /// So many answer for the right chain and are not behind.
        answering: usize,
        /// So many are named.
        nodes: usize,
        /// So many must agree.
        needed: usize,
        /// What the last of the others said.
        why: String,
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
    /// The node serves another chain under the same id.
    #[error("the node at {node} serves another chain of the same id: its first block is {found}, not {expected}")]
    OtherGenesis {
        /// Scheme, host and port.
        node: String,
        /// Name of the first block that was seen before.
        expected: String,
        /// Name of its first block.
        found: String,
    },
    /// Wallets can't exist on this chain as they must.
    #[error("no wallet can be made on {chain}: {why}; give out no address there")]
    Contracts {
        /// The chain.
        chain: ChainId,
        /// What is wrong with its contracts.
        why: String,
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
    /// Each account of the relayer has as much under way as it may: nothing was sent.
    #[error("each relayer has {most} transactions under way, as many as it may; sent when one of them is mined")]
    Full {
        /// [`crate::RelayLimits::most_in_flight`], or [`crate::RelayLimits::most_batches`] of a batch.
        most: usize,
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
    Journal(Arc<dyn Error + Send + Sync>),
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

/// Why a node that answers can't say what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inability {
    /// It has too much to do, or limits our requests.
    #[error("is busy or limits our requests: {message}")]
    Busy {
        /// The node's own words.
        message: String,
        /// How long it wants us to wait.
        retry_after: Option<Duration>,
    },
    /// Its newest block is too old.
    #[error("is behind: {0}")]
    Behind(String),
    /// It does not have the block that was asked about.
    #[error("does not have this block yet: {0}")]
    NoBlock(String),
    /// It has not caught up with its chain since its start.
    #[error("is still syncing")]
    Syncing,
    /// It no longer has what it knew of that block.
    #[error("has pruned this block's history: {0}; name a node that keeps it (an archive node)")]
    Pruned(String),
}

/// Whose word an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// The chain's own: asking again changes nothing until the chain does. Only this may end a payment.
    Chain,
    /// A node's, which can't say what the chain says: ask again, or another node.
    Node,
    /// Nobody's: the answer is not what the method's specification says.
    Malformed,
    /// Ours: the request, the relayer or the configuration.
    Us,
}

impl ClientError {
    /// Whose word it is.
    pub fn says(&self) -> Says {
        match self {
            Self::Reverted { .. } | Self::Contracts { .. } => Says::Chain,
            Self::Away { .. }
            | Self::Unable { .. }
            | Self::Disagree { .. }
            | Self::TooFew { .. }
            | Self::Node { .. }
            | Self::WrongChain { .. }
            | Self::OtherGenesis { .. } => Says::Node,
            Self::Malformed { .. } => Says::Malformed,
            Self::Url
            | Self::Float { .. }
            | Self::Full { .. }
            | Self::Pending(_)
            | Self::Stuck { .. }
            | Self::OverGas { .. }
            | Self::OverPrice { .. }
            | Self::Journal(_)
            | Self::Key { .. }
            | Self::NoRelayer(_)
            | Self::Chain(_) => Says::Us,
        }
    }

    /// Whether the same request may simply be made again.
    pub fn is_away(&self) -> bool {
        match self {
            // What is pruned stays so.
            Self::Unable { inability, .. } => !matches!(inability, Inability::Pruned(_)),
            Self::Away { .. } | Self::Disagree { .. } | Self::TooFew { .. } => true,
            _ => false,
        }
    }
}
