//! One nonce of an account: what it was given to, in all its versions, and how that stands.

use alloy_primitives::U256;
use chain::{Errand, Outcome, Stuck};
use tokio::sync::watch;

use crate::{call::Call, relayer::signed::Signed};

/// How a call stands, for whoever follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::relayer) enum Standing {
    /// The transaction of this name is with the network; empty before it is signed.
    Sent(String),
    Stuck(String, Stuck),
    Done(Outcome),
}

/// A transaction with the nonce of its entry.
#[derive(Debug, Clone)]
pub(in crate::relayer) struct Version {
    pub(in crate::relayer) signed: Signed,
    /// It carries nothing: it only uses up the nonce.
    pub(in crate::relayer) empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing of it is in a block.
    Open,
    /// Its nonce is used, and no receipt is told since this block.
    Passed { since: u64, looks: u32 },
    /// It is in this block.
    Mined(u64),
    /// Something else is in its place.
    Foreign,
}

/// One nonce.
pub(super) struct Entry {
    pub(super) errand: Errand,
    /// The wallet that it is for.
    pub(super) wallet: String,
    pub(super) call: Call,
    /// Oldest first; none while the first is being signed.
    pub(super) versions: Vec<Version>,
    pub(super) state: State,
    /// The newest block when the newest version was sent.
    pub(super) sent_at: Option<u64>,
    pub(super) refusals: u32,
    /// The node's words at the last of them.
    pub(super) refusal: String,
    /// The newest block when its first version was sent.
    pub(super) since: Option<u64>,
    /// Whether the nodes are given it, and not private endpoints alone.
    pub(super) open: bool,
    pub(super) standing: watch::Sender<Standing>,
}

impl Entry {
    pub(super) fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    pub(super) fn is(&self, errand: &Errand, call: &Call) -> bool {
        self.errand == *errand && self.call == *call
    }

    pub(super) fn cost(&self) -> U256 {
        self.versions.iter().map(|version| version.signed.terms.cost()).max().unwrap_or_default()
    }
}
