//! Many wallets in one transaction of the relayer: what their owners have signed, and what creates them before it.

use async_trait::async_trait;

use crate::{Call, ClientError, Errand, Following, WalletDesc};

/// What is to be done for one wallet, in this order.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The wallet.
    pub wallet: &'a WalletDesc,
    /// What creates it, where it does not exist. That somebody else has created it, before the trial or after it, is no
    /// failure.
    pub creation: Option<Call>,
    /// What carries out its owners' transactions: each uses up what follows the one before it.
    pub executions: Vec<Call>,
}

/// What a trial says of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It is in the batch, all of it or its first executions.
    In {
        /// So many of its executions.
        executions: usize,
        /// Why the next one is not, in the chain's own words.
        refused: Option<String>,
    },
    /// Already its first execution, or without any its creation, is refused, in the chain's own words.
    Refused(String),
    /// There was no room for it, or nothing could be said of it: offer it again.
    Later,
}

/// One transaction that makes the calls of many wallets. What fails in it when it is carried out keeps nothing else from
/// taking place, unless it takes all work that is left (EVM: a token that behaves otherwise than in the trial): then the
/// same is to be tried again in smaller company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    /// What the relayer calls.
    pub call: Call,
    /// The most work that it may take (EVM: gas).
    pub work: u64,
}

/// What became of the groups that were offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What is to be sent; `None`: no group is in it.
    pub transaction: Option<Batched>,
    /// Whether one transaction can hold hardly any more.
    pub full: bool,
    /// Of each group, in their order.
    pub tried: Vec<Tried>,
}

/// A chain on which many wallets' calls can be made in one transaction.
#[async_trait]
pub trait Batching: Send + Sync {
    /// Whether this chain has what that takes: the word of as many nodes as must agree.
    async fn carries(&self) -> Result<bool, ClientError>;

    /// Tries these groups together, at the newest block and within what the relayer may spend on one transaction, and
    /// puts as many as fit into one. With each call at least one group is in it or refused.
    /// [`ClientError::OverGas`]: the first group alone takes more than that.
    async fn batch(&self, groups: &[Group<'_>]) -> Result<Batch, ClientError>;

    /// Keeps and sends it, as [`crate::ChainClient::relay`] does with a call.
    async fn relay_batch(&self, errand: &Errand, batched: &Batched) -> Result<Box<dyn Following>, ClientError>;
}
