//! A wallet as an attacker knows it.

use alloy_primitives::Address;
use chain::WalletDesc;
use protocol::ops::Attestation;

/// A wallet that both signers have registered.
#[derive(Debug, Clone)]
pub(crate) struct Wallet {
    pub(crate) id: String,
    pub(crate) desc: WalletDesc,
    pub(crate) address: Address,
    /// Hot, cool, cold.
    pub(crate) owners: [Address; 3],
    /// Keeper's word for its hot keys.
    pub(crate) hot: Attestation,
}
