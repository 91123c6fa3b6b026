//! What a pass is made over, and why one ends early.

use k8s_openapi::jiff::Timestamp;
use multisig_api::MultisigCluster;

use crate::{calls::CallError, context::Context};

/// The kind, in metrics and logs.
pub const KIND: &str = "MultisigCluster";

/// A pass: over what, with what, when.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The object.
    pub cluster: &'a MultisigCluster,
    /// The world.
    pub context: &'a Context,
    /// When it began.
    pub now: Timestamp,
}

/// Why a pass ended early. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub's API server.
    #[error("the hub: {0}")]
    Hub(#[from] CallError),
    /// A JWT could not be made.
    #[error(transparent)]
    Jwt(#[from] natsauth::JwtError),
}
