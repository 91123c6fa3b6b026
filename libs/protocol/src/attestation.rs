//! Statements that outlive their envelope.

/// Domain of an attested [`crate::ops::HotKeys`].
pub const HOT_KEYS: &str = "multisig.attest.hot.v1";
/// Domain of an attested [`crate::ops::WalletRecord`].
pub const WALLET_RECORD: &str = "multisig.attest.wallet.v1";
