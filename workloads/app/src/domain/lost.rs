//! What the signers have recorded, and the database may have lost.

use chain::Claim;
use custody::WalletId;

use super::order::PaymentId;

/// A transaction that a signer has recorded as signed for a payment. To whom it pays, and how much, only the order
/// says: the digest tells whether an order is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) payment: PaymentId,
    pub(crate) wallet: WalletId,
    /// What it uses up; at least one.
    pub(crate) claims: Vec<Claim>,
    /// Stands for all that is signed.
    pub(crate) id: [u8; 32],
    /// A block at which the claims were still free.
    pub(crate) from_block: u64,
}

/// How far a signer's records have been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whose numbers they are: the signer's store.
    pub(crate) store: [u8; 16],
    /// The last record that was read.
    pub(crate) number: u64,
    /// The chain's newest block then: what is recorded later happens later.
    pub(crate) block: u64,
}
