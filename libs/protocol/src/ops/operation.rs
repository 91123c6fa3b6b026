//! What is true of each operation, in one place: its name, what it is about, who may ask for it.

use custody::Role;

use super::request::{Operation, Payment};
use crate::subject::Lane;

/// Who may ask for an operation instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAskedBy {
    /// The reason to refuse it, stable.
    pub reason: &'static str,
    /// Who may, for people.
    pub by: &'static str,
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

    /// Whether it is asked for in this lane: what is read of records waits for nothing else, and nothing waits for it.
    pub fn in_lane(&self, lane: Lane) -> bool {
        matches!(self, Operation::Records(_)) == (lane == Lane::Records)
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
