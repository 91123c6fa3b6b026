//! What is true of each operation, in one place: its name, what it is about, who may ask for it.

use custody::Role;

use super::{
    request::{Operation, Payment},
    statement::Attestation,
};
use crate::subject::Lane;

/// Who may ask for an operation instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAskedBy {
    /// The reason to refuse it, stable.
    pub reason: &'static str,
    /// Who may, for people.
    pub by: &'static str,
}

/// What an operation waits for, and what waits for it: each class has permits of its own at a signer, so none waits for
/// another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Stops a signer, or lets it go on: goes first, whatever else goes on.
    Urgent,
    /// What the other signer and the sentinel tell.
    Peer,
    /// What App asks for.
    Ordinary,
    /// Reads what was recorded.
    Reading,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 4] = [Class::Urgent, Class::Peer, Class::Ordinary, Class::Reading];

    /// For metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Urgent => "urgent",
            Class::Peer => "peer",
            Class::Ordinary => "ordinary",
            Class::Reading => "reading",
        }
    }
}

impl Operation {
    /// For metrics and the audit chain.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::CreateWallet(_) => "CreateWallet",
            Operation::RegisterWallet(_) => "RegisterWallet",
            Operation::Check(_) => "Check",
            Operation::Sign(_) => "Sign",
            Operation::Announce(_) => "Announce",
            Operation::Batch(_) => "Batch",
            Operation::Freeze(_) => "Freeze",
            Operation::EchoHead(_) => "EchoHead",
            Operation::Settle(_) => "Settle",
            Operation::Lease(_) => "Lease",
            Operation::Records(_) => "Records",
        }
    }

    /// The payment that it is about.
    pub fn payment(&self) -> Option<&Payment> {
        match self {
            Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment) => Some(payment),
            _ => None,
        }
    }

    /// The wallet that it is about; empty where there is none.
    pub fn wallet(&self) -> &str {
        match self {
            Operation::CreateWallet(create) => &create.wallet,
            Operation::Freeze(freeze) => &freeze.wallet,
            _ => self.payment().map_or("", |payment| &payment.wallet),
        }
    }

    /// The chain that it is about; empty where there is none.
    pub fn chain(&self) -> &str {
        self.payment().map_or("", |payment| &payment.chain)
    }

    /// The client's key in it, where it may carry one. Secret.
    pub fn client_key_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Operation::CreateWallet(create) => Some(&mut create.client_key),
            Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment) => {
                Some(&mut payment.client_key)
            }
            _ => None,
        }
    }

    /// Keeper's head in it, where it may carry one.
    pub fn hot_head_mut(&mut self) -> Option<&mut Option<Attestation>> {
        match self {
            Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment) => {
                Some(&mut payment.hot_head)
            }
            _ => None,
        }
    }

    /// Whether it may be one of several in a batch.
    pub fn in_a_batch(&self) -> bool {
        match self {
            Operation::CreateWallet(_)
            | Operation::RegisterWallet(_)
            | Operation::Check(_)
            | Operation::Announce(_)
            | Operation::Sign(_)
            | Operation::Freeze(_) => true,
            Operation::Batch(_)
            | Operation::EchoHead(_)
            | Operation::Settle(_)
            | Operation::Lease(_)
            | Operation::Records(_) => false,
        }
    }

    /// Whether it is asked for in this lane: what is read of records waits for nothing else, and nothing waits for it;
    /// App's lane for freezes is for nothing else.
    pub fn in_lane(&self, lane: Lane) -> bool {
        match lane {
            Lane::Records => matches!(self, Operation::Records(_)),
            Lane::Freeze => matches!(self, Operation::Freeze(_)),
            _ => !matches!(self, Operation::Records(_)),
        }
    }

    /// What it waits for. A batch is App's, whatever is in it.
    pub fn class(&self) -> Class {
        match self {
            Operation::Freeze(_) | Operation::Lease(_) => Class::Urgent,
            Operation::EchoHead(_) | Operation::Settle(_) => Class::Peer,
            Operation::Records(_) => Class::Reading,
            Operation::CreateWallet(_)
            | Operation::RegisterWallet(_)
            | Operation::Check(_)
            | Operation::Announce(_)
            | Operation::Sign(_)
            | Operation::Batch(_) => Class::Ordinary,
        }
    }

    /// Whether this role may ask for it.
    pub fn asked_by(&self, role: Role) -> Result<(), NotAskedBy> {
        let (may, reason, by) = match self {
            Operation::Freeze(_) => return Ok(()),
            Operation::CreateWallet(_)
            | Operation::RegisterWallet(_)
            | Operation::Check(_)
            | Operation::Announce(_)
            | Operation::Sign(_)
            | Operation::Batch(_)
            | Operation::Records(_) => (role == Role::App, "NotApp", "app"),
            Operation::EchoHead(_) => (matches!(role, Role::Keeper | Role::Cooler), "NotASigner", "the other signer"),
            Operation::Settle(_) | Operation::Lease(_) => (role == Role::Sentinel, "NotSentinel", "the sentinel"),
        };
        if may { Ok(()) } else { Err(NotAskedBy { reason, by }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Batch, EchoHead, Freeze, Lease, ReadRecords, Request, Settle};

    fn freeze() -> Operation {
        Operation::Freeze(Freeze::default())
    }

    #[test]
    fn only_what_stops_a_signer_or_lets_it_go_on_is_urgent() {
        let batch = Batch { requests: vec![Request { operation_id: vec![1; 16], operation: Some(freeze()) }] };
        let classes = [
            (freeze(), Class::Urgent),
            (Operation::Lease(Lease::default()), Class::Urgent),
            (Operation::EchoHead(EchoHead::default()), Class::Peer),
            (Operation::Settle(Settle::default()), Class::Peer),
            (Operation::Records(ReadRecords::default()), Class::Reading),
            (Operation::Sign(Payment::default()), Class::Ordinary),
            (Operation::Batch(batch), Class::Ordinary),
        ];
        for (operation, class) in classes {
            assert_eq!(operation.class(), class, "{}", operation.name());
        }
    }

    #[test]
    fn a_freeze_has_a_lane_of_its_own_and_stays_where_older_senders_ask_for_it() {
        for lane in [Lane::Freeze, Lane::Op, Lane::Peer, Lane::Sentinel] {
            assert!(freeze().in_lane(lane), "{lane:?}");
        }
        assert!(!freeze().in_lane(Lane::Records));
        assert!(!Operation::Sign(Payment::default()).in_lane(Lane::Freeze));
        assert!(!Operation::Records(ReadRecords::default()).in_lane(Lane::Op));
        assert!(Operation::Records(ReadRecords::default()).in_lane(Lane::Records));
    }
}
