//! The id of a payment: the same for App's caller, for App, also for one whose database was restored, and for both
//! signers. It tells nothing of the key to whoever does not know it already.

use sha2::{Digest, Sha256};

use crate::{ops::PAYMENT_ID_BYTES, pae::pae};

const DOMAIN: &str = "multisig.payment.v1";

/// SHA-256 over the domain, the caller's `scope` and the caller's idempotency `key`, each with its length.
pub fn payment_id(scope: &str, key: &str) -> [u8; PAYMENT_ID_BYTES] {
    let digest = Sha256::new().chain_update(pae(DOMAIN, scope.as_bytes()));
    digest.chain_update(u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes()).chain_update(key).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_and_key_do_not_run_into_each_other() {
        assert_eq!(payment_id("shop", "order-7"), payment_id("shop", "order-7"));
        assert_ne!(payment_id("shop", "order-7"), payment_id("sho", "porder-7"));
        assert_ne!(payment_id("shop", "order-7"), payment_id("default", "order-7"));
        assert_ne!(payment_id("", "a"), payment_id("a", ""));
    }
}
