//! What signs for an account that pays. The one implementation reads the key from a file; a key service could be
//! another.

use alloy_primitives::{Address, B256, Signature, hex};
use async_trait::async_trait;
use chain::ClientError;
use k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

const KEY: ClientError = ClientError::Key { expected: "a file with 64 hex digits, with or without 0x" };

/// Signs for one account.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The account.
    fn address(&self) -> Address;

    /// A recoverable secp256k1 signature over a digest, low s.
    async fn sign(&self, digest: &B256) -> Result<Signature, ClientError>;
}

/// A secp256k1 key in memory. Zeroized when dropped.
pub struct RelayerKey(SigningKey);

impl RelayerKey {
    /// From 64 hex digits, with or without `0x`, white space around them ignored.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let digits = text.trim();
        let bytes = Zeroizing::new(hex::decode(digits).map_err(|_| KEY)?);
        SigningKey::from_slice(&bytes).map(Self).map_err(|_| KEY)
    }
}

#[async_trait]
impl Signer for RelayerKey {
    fn address(&self) -> Address {
        let point = self.0.verifying_key().to_encoded_point(false);
        Address::from_raw_public_key(&point.as_bytes()[1..])
    }

    async fn sign(&self, digest: &B256) -> Result<Signature, ClientError> {
        let (signature, recovery) = self.0.sign_prehash_recoverable(digest.as_slice()).map_err(|_| KEY)?;
        Ok(Signature::from_bytes_and_parity(signature.to_bytes().as_slice(), recovery.is_y_odd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn a_key_is_hex_with_or_without_prefix() {
        let address: Address = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1".parse().unwrap();
        assert_eq!(RelayerKey::parse(KEY).unwrap().address(), address);
        assert_eq!(RelayerKey::parse(&format!("0x{KEY}\n")).unwrap().address(), address);
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_shown() {
        for text in ["", "0x01", &KEY[1..], &"00".repeat(32), &"ff".repeat(32)] {
            let Err(error) = RelayerKey::parse(text) else { panic!("{text}") };
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }
}
