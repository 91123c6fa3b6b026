//! A wallet as the chain sees it.

use crate::{ChainId, Owners};

/// A wallet as the chain sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletDesc {
    /// Which chain.
    pub chain: ChainId,
    /// The deposit address, in the chain's display form.
    pub address: String,
    /// The owners' public keys.
    pub owners: Owners,
    /// Owners' addresses, hot, cool, cold, in the chain's display form.
    pub owner_addresses: [String; 3],
    /// Salt of the address, 32 bytes.
    pub salt: [u8; 32],
}
