//! Why something was not moved: a word for machines, and a sentence for people.

use chain::{ClientError, Stuck};
use serde::Serialize;

/// One word. `docs/evacuation.md` says what each means; they are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evac) enum Reason {
    /// An owner has not signed for the wallet.
    Unsigned,
    /// The chain refuses it.
    WouldRevert,
    /// The asset says that nothing was moved.
    MovedNothing,
    /// A part was moved, the rest was not there or can't be.
    MovedLess,
    /// Others used its nonces.
    Superseded,
    /// An earlier nonce of the wallet is not used.
    Waiting,
    /// No gas key can pay for it.
    NoFloat,
    /// Fees are above the ceiling.
    OverFee,
    /// It takes more gas than a transaction may use.
    OverGas,
    /// It was sent, and is in no block or without effect.
    NotMined,
    /// Nodes do not tell.
    Unread,
    /// The journal can't be written.
    NotKept,
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::evac) struct Why {
    pub(in crate::evac) reason: Reason,
    pub(in crate::evac) message: String,
}

impl Why {
    pub(in crate::evac) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<ClientError> for Why {
    /// In words that say what to do.
    fn from(error: ClientError) -> Self {
        let reason = match &error {
            ClientError::Float { .. } | ClientError::Full { .. } => Reason::NoFloat,
            ClientError::Stuck { why, .. } => match **why {
                Stuck::AtCeiling { .. } => Reason::OverFee,
                Stuck::Float { .. } => Reason::NoFloat,
                Stuck::Refused(_) => Reason::NotMined,
            },
            ClientError::OverPrice { .. } => Reason::OverFee,
            ClientError::OverGas { .. } => Reason::OverGas,
            ClientError::Reverted { .. } => Reason::WouldRevert,
            ClientError::Journal(_) => Reason::NotKept,
            ClientError::Pending(_) => Reason::NotMined,
            _ => Reason::Unread,
        };
        let error = anyhow::Error::from(error);
        let message = match reason {
            Reason::OverFee => {
                format!("{:#}", error.context("run this again with a higher --max-fee, or when fees have fallen"))
            }
            _ => format!("{error:#}"),
        };
        Self { reason, message }
    }
}
