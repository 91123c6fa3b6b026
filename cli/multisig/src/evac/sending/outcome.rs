//! What was to be moved, and what became of it.

use chain::Amount;
use serde::{Deserialize, Serialize};

use super::reason::Why;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evac) enum Status {
    /// Moved now.
    Executed,
    /// Had been moved before.
    AlreadyExecuted,
    /// Its nonce was used by another transaction: plan again.
    Superseded,
    /// An earlier nonce of the wallet is not used: nothing was sent.
    Waiting,
    /// Nothing moved; the message says why.
    Failed,
}

impl Status {
    pub(in crate::evac) fn is_done(self) -> bool {
        matches!(self, Self::Executed | Self::AlreadyExecuted)
    }
}

/// What was to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::evac) struct Line {
    /// App's name for the wallet.
    pub(in crate::evac) id: String,
    /// The wallet's address, display form.
    pub(in crate::evac) address: String,
    /// Symbol.
    pub(in crate::evac) asset: String,
    /// Destination, display form.
    pub(in crate::evac) to: String,
    /// Smallest unit of the asset.
    pub(in crate::evac) amount: Amount,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::evac) struct Outcome {
    pub(in crate::evac) status: Status,
    /// The chain's name of the transaction.
    pub(in crate::evac) tx: Option<String>,
    /// How much was moved, and in which block.
    pub(in crate::evac) moved: Option<(u64, Amount)>,
    /// Why not all of it.
    pub(in crate::evac) why: Option<Why>,
}

impl Outcome {
    pub(in crate::evac) fn not_moved(status: Status, why: Why) -> Self {
        Self { status, tx: None, moved: None, why: Some(why) }
    }
}
