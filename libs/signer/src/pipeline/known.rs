//! Wallets that a signer remembers.

use std::{collections::HashMap, sync::Arc};

use chain::{ChainId, WalletDesc};

/// Descriptions that were recomputed once, of one manifest.
#[derive(Default)]
pub(super) struct Known {
    pub(super) manifest: [u8; 32],
    pub(super) wallets: HashMap<(String, ChainId), Arc<WalletDesc>>,
}
