//! Subjects: `ms.<custody>.<role>.{op,peer,observe,in}`, and the private inbox of each role. Permissions
//! (`natsauth`) and the link are both written from this file.

use custody::{CustodyId, Role};

/// What a subject is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// App asks a signer.
    Op,
    /// A signer tells the other.
    Peer,
    /// The observer tells a signer.
    Observe,
    /// Everybody tells the observer.
    In,
}

impl Lane {
    /// Last token of the subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Op => "op",
            Lane::Peer => "peer",
            Lane::Observe => "observe",
            Lane::In => "in",
        }
    }
}

/// The subject on which `role` listens to `lane`.
pub fn subject(custody: CustodyId, role: Role, lane: Lane) -> String {
    format!("ms.{custody}.{role}.{}", lane.as_str())
}

/// The queue group of a role: all its replicas are one.
pub fn queue(role: Role) -> &'static str {
    role.as_str()
}

/// Inbox prefix of a NATS user; user names are `[a-z0-9-]+` and unique in the account.
pub fn inbox_prefix(role: Role) -> String {
    format!("_INBOX.{role}")
}
