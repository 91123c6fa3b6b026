//! Operation ids: stored once as a seed with what they are for, so that every retry, also after a crash, carries the
//! same.

use protocol::ops::OPERATION_ID_BYTES;
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};

/// 16 random bytes from which the operation ids of a wallet or a payment are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 16]);

impl Seed {
    /// From the operating system.
    pub(crate) fn random() -> Self {
        let mut seed = [0; 16];
        OsRng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// The id of one operation.
    pub(crate) fn operation(&self, label: &str) -> Vec<u8> {
        let digest = Sha256::new().chain_update(b"multisig.app.operation.v1\0").chain_update(self.0);
        digest.chain_update(label).finalize()[..OPERATION_ID_BYTES].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_keeps_its_id_and_shares_it_with_no_other() {
        let seed = Seed([1; 16]);
        assert_eq!(seed.operation("sign-keeper"), Seed([1; 16]).operation("sign-keeper"));
        assert_ne!(seed.operation("sign-keeper"), seed.operation("sign-cooler"));
        assert_ne!(seed.operation("sign-keeper"), Seed([2; 16]).operation("sign-keeper"));
        assert_eq!(seed.operation("x").len(), OPERATION_ID_BYTES);
    }
}
