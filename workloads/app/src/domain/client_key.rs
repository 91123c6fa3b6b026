//! The key that seals a wallet's keys at Keeper, where Keeper's member trust says ClientKey: Keeper's database alone is
//! then worthless, and so are the wallet's hot keys without App's database.

use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

/// Length, bytes.
pub(crate) const CLIENT_KEY_BYTES: usize = 32;

/// 32 random bytes of one wallet, told to nobody but Keeper. Wiped on drop, never printed.
pub(crate) struct ClientKey(Zeroizing<[u8; CLIENT_KEY_BYTES]>);

impl ClientKey {
    /// From the operating system.
    pub(crate) fn random() -> Self {
        let mut key = Zeroizing::new([0; CLIENT_KEY_BYTES]);
        OsRng.fill_bytes(key.as_mut_slice());
        Self(key)
    }

    /// As it was stored.
    pub(crate) fn new(key: Zeroizing<[u8; CLIENT_KEY_BYTES]>) -> Self {
        Self(key)
    }

    /// For the database.
    pub(crate) fn as_bytes(&self) -> &[u8; CLIENT_KEY_BYTES] {
        &self.0
    }

    /// For a message, whose sender wipes it.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}
