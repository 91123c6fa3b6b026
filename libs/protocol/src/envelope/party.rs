//! One side of the conversation.

use std::sync::Arc;

use custody::{CustodyId, Role};

use super::keys::{OwnKeys, PeerError, Peers};

/// A role in a custody with its keys and the peers it believes. Cheap to clone and never changed: when keys or peers
/// change, the next message is made with another `Party`, and answers under way are opened with the one they were
/// asked with.
#[derive(Clone)]
pub struct Party(Arc<Inner>);

struct Inner {
    custody: CustodyId,
    role: Role,
    keys: Arc<OwnKeys>,
    peers: Peers,
}

impl Party {
    /// `role` in `custody`.
    pub fn new(custody: CustodyId, role: Role, keys: Arc<OwnKeys>, peers: Peers) -> Result<Self, PeerError> {
        if !peers.of(role).is_empty() {
            return Err(PeerError::Own(role));
        }
        Ok(Self(Arc::new(Inner { custody, role, keys, peers })))
    }

    /// The custody.
    pub fn custody(&self) -> CustodyId {
        self.0.custody
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The peers.
    pub fn peers(&self) -> &Peers {
        &self.0.peers
    }

    pub(super) fn keys(&self) -> &OwnKeys {
        &self.0.keys
    }
}
