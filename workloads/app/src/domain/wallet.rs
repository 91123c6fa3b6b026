//! A user's wallet.

use custody::WalletId;

use super::{address::Address, seed::Seed};

/// Owners who have to sign, of three: the same on every chain.
pub(crate) const THRESHOLD: u64 = 2;

/// A wallet that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wallet {
    pub(crate) id: WalletId,
    /// Operation ids are derived from it.
    pub(crate) seed: Seed,
    /// Absent until both signers durably hold the wallet: before that, no address is given out.
    pub(crate) attested: Option<Attested>,
}

/// What both signers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attested {
    /// In the chain's encoding (33-byte SEC1).
    pub(crate) hot_key: Vec<u8>,
    pub(crate) address: Address,
    /// Keeper's attestation of the wallet record, protobuf.
    pub(crate) keeper: Vec<u8>,
    /// Cooler's, of its own record.
    pub(crate) cooler: Vec<u8>,
}
