//! Why a request stops: for good, which is stored, or for now, which never is.

use chain::Refusal;
use protocol::{
    attestation::AttestationError,
    ops::{Outcome, Refused},
};

use crate::store::{Frozen, StoreError};

/// The end of a request before its last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// For good: the same request gets the same answer.
    Refused(Refusal),
    /// For now: the same operation id may be sent again.
    Unavailable(Refusal),
}

impl Stop {
    pub(crate) fn refused(reason: &'static str, message: impl Into<String>) -> Self {
        Stop::Refused(refused(reason, message))
    }

    pub(crate) fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Stop::Unavailable(refused(reason, message))
    }

    pub(super) fn not_serving() -> Self {
        Stop::unavailable("NotServing", "this signer does not serve operations now; its report says why")
    }

    /// For now, until others vouch for this signer or the admin accepts its chain.
    pub(super) fn locked(why: &str) -> Self {
        Stop::unavailable("Locked", format!("this signer is locked: {why}"))
    }

    pub(super) fn reused() -> Self {
        Stop::refused("OperationIdReused", "this operation id belongs to another request; use a new one")
    }

    /// For now, until the admin thaws.
    pub(super) fn frozen(frozen: &Frozen) -> Self {
        let Frozen { wallet, requester, reason, .. } = frozen;
        let what = if wallet.is_empty() { "this signer".to_owned() } else { format!("wallet {wallet}") };
        Stop::unavailable("Frozen", format!("{what} was frozen by {requester}: {reason}"))
    }

    /// With more to say.
    pub(super) fn and(mut self, more: String) -> Self {
        let (Stop::Refused(refusal) | Stop::Unavailable(refusal)) = &mut self;
        refusal.message = format!("{}; {more}", refusal.message);
        self
    }

    /// Carried out before, and not to be made again now.
    pub(super) fn pruned() -> Self {
        Stop::unavailable(
            "ReplyPruned",
            "this operation was carried out, its reply is no longer kept, and it can't be made again as things are now",
        )
    }

    /// The stable reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Stop::Refused(refusal) | Stop::Unavailable(refusal) => refusal.reason,
        }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let told = |Refusal { reason, message }| Refused { reason: reason.to_owned(), message };
        match self {
            Stop::Refused(refusal) => Outcome::Refused(told(refusal)),
            Stop::Unavailable(refusal) => Outcome::Unavailable(told(refusal)),
        }
    }
}

/// A refusal with its stable reason.
fn refused(reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into() }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        if error == StoreError::WindowBuilding {
            return Stop::unavailable("WindowBuilding", error.to_string());
        }
        tracing::error!(%error, "the store failed");
        Stop::unavailable("StoreFailed", "this signer's store failed; its log says how")
    }
}

/// Never a refusal for good: whatever the Vault says can be repaired. Its address stays in the log.
impl From<vault::Error> for Stop {
    fn from(error: vault::Error) -> Self {
        tracing::error!(%error, "the vault failed");
        match error {
            vault::Error::Sealed { .. } => Stop::unavailable("VaultSealed", "this signer's Vault is sealed"),
            vault::Error::Away { .. } | vault::Error::Throttled { .. } => {
                Stop::unavailable("VaultAway", "this signer's Vault does not answer")
            }
            vault::Error::BadCiphertext(_) => {
                Stop::unavailable("KeyDamaged", "this signer's sealed key does not open; restore the volume")
            }
            _ => Stop::unavailable("VaultDenied", "this signer's Vault refuses it; its log says how"),
        }
    }
}

impl From<AttestationError> for Stop {
    fn from(error: AttestationError) -> Self {
        Stop::refused("AttestationNotBelieved", error.to_string())
    }
}
