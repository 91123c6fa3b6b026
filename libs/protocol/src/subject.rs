//! Subjects: `ms.<custody>.<role>.{op,freeze,records,peer,sentinel,in}`, and the private inbox of each role. Permissions
//! (`natsauth`) and the link are both written from this file.

use custody::{CustodyId, Role};

use crate::envelope::MAX_BYTES;

/// What a subject is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// App asks a signer.
    Op,
    /// App stops a signer: nothing else that App asks stands before it.
    Freeze,
    /// App reads what a signer has recorded of its requests.
    Records,
    /// A signer tells the other.
    Peer,
    /// The sentinel tells a signer.
    Sentinel,
    /// Everybody tells the sentinel.
    In,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Lane; 6] = [Lane::Op, Lane::Freeze, Lane::Records, Lane::Peer, Lane::Sentinel, Lane::In];

    /// Last token of the subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Op => "op",
            Lane::Freeze => "freeze",
            Lane::Records => "records",
            Lane::Peer => "peer",
            Lane::Sentinel => "sentinel",
            Lane::In => "in",
        }
    }

    /// Largest envelope, bytes. Only App's operations need all that the broker carries: 500 settlements stay below a
    /// quarter of it, and a freeze, a head or a question for records below a sixteenth of that.
    pub fn max_bytes(self) -> usize {
        match self {
            Lane::Op | Lane::In => MAX_BYTES,
            Lane::Sentinel => MAX_BYTES / 4,
            Lane::Freeze | Lane::Records | Lane::Peer => MAX_BYTES / 64,
        }
    }
}

/// The lanes on which a role listens, in its queue group.
pub fn listens(role: Role) -> &'static [Lane] {
    match role {
        Role::Keeper | Role::Cooler => &[Lane::Op, Lane::Freeze, Lane::Records, Lane::Peer, Lane::Sentinel],
        Role::App => &[],
        Role::Sentinel => &[Lane::In],
    }
}

/// The lanes of others on which a role speaks. The broker's permissions say the same, but nobody relies on the broker:
/// listeners check the signed sender against this.
pub fn speaks(role: Role) -> &'static [(Role, Lane)] {
    match role {
        Role::Keeper => &[(Role::Cooler, Lane::Peer), (Role::Sentinel, Lane::In)],
        Role::Cooler => &[(Role::Keeper, Lane::Peer), (Role::Sentinel, Lane::In)],
        Role::App => &[
            (Role::Keeper, Lane::Op),
            (Role::Cooler, Lane::Op),
            (Role::Keeper, Lane::Freeze),
            (Role::Cooler, Lane::Freeze),
            (Role::Keeper, Lane::Records),
            (Role::Cooler, Lane::Records),
            (Role::Sentinel, Lane::In),
        ],
        Role::Sentinel => &[(Role::Keeper, Lane::Sentinel), (Role::Cooler, Lane::Sentinel)],
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
