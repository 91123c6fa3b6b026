//! The lock of a start.

/// Whether a start has been vouched for. In memory only, so that every start is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Nothing is served, for this reason.
    Locked(String),
    /// The other signers know this signer's history.
    Open,
}
