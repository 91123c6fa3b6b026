//! What waits at a node, to go out with others in few requests.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::Log;
use chain::ClientError;
use tokio::sync::oneshot;

/// Askers that wait for each other.
pub(crate) struct Queue<T>(Mutex<Vec<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    /// Whether it is the first: whoever is sees to it that all that have come meanwhile go out.
    pub(crate) fn push(&self, waiting: T) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(waiting);
        queue.len() == 1
    }

    /// All that wait.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A read of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// An account's coins: a word, wei.
    Balance(Address),
    /// What a contract returns.
    Call(Address, Bytes),
}

/// What a read returns, or why the contract reverts.
pub(crate) type Answer = Result<Bytes, String>;

/// Reads of one block that wait to go out with others.
pub(crate) struct Waiting {
    pub(crate) block: u64,
    pub(crate) reads: Vec<Read>,
    pub(crate) tell: oneshot::Sender<Result<Vec<Answer>, ClientError>>,
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

/// A search that waits to go out with others.
pub(crate) struct Search {
    pub(crate) safe: Address,
    /// As many executions are enough: the newest ones.
    pub(crate) enough: u64,
    /// Blocks, both included.
    pub(crate) blocks: (u64, u64),
    pub(crate) tell: oneshot::Sender<Result<Vec<Execution>, ClientError>>,
}

/// Someone who waits for what the contracts told in a mined transaction.
pub(crate) struct Wanted {
    pub(crate) tx: B256,
    pub(crate) tell: oneshot::Sender<Result<Arc<Vec<Log>>, ClientError>>,
}
