//! The alternative to a Vault: a key that the client sends with each request, so that the database alone is worthless.
//! Nothing here keeps the key longer than the request that brought it.
//!
//! Subkeys are HKDF-SHA256 (RFC 5869) with the salt [`SALT`] and the info `label || context`, 32 bytes each: one seals
//! by AES-256-GCM (NIST SP 800-38D) with the context as associated data, the other is the verifier. Sealed values are
//! `client:v1:` and base64 of `nonce (12) || ciphertext || tag (16)`.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA256, Salt},
};
use data_encoding::BASE64;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::Context;

/// Length of a client key, bytes.
pub const CLIENT_KEY_LEN: usize = 32;

const PREFIX: &str = "client:v1:";
const SALT: &[u8] = b"multisig.client-key.v1";
const SEAL: &[u8] = b"seal";
const VERIFIER: &[u8] = b"verifier";

/// Why a client key did not do what was asked; never more than whoever holds the database knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    /// Not 32 bytes.
    #[error("a client key has {CLIENT_KEY_LEN} bytes; send the one that the wallet was made with")]
    Length,
    /// Another key, another context, or not what was sealed.
    #[error("wrong key or damaged")]
    Refused,
}

/// A key that seals the secrets of one wallet; wiped on drop.
pub struct ClientKey(Zeroizing<[u8; CLIENT_KEY_LEN]>);

impl ClientKey {
    /// From exactly 32 bytes, uniformly random: no password.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ClientKeyError> {
        let mut key = Zeroizing::new([0; CLIENT_KEY_LEN]);
        if bytes.len() != CLIENT_KEY_LEN {
            return Err(ClientKeyError::Length);
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// Seals `secret` for its context: `client:v1:<base64>`.
    pub fn seal(&self, context: Context, secret: &[u8], rng: &mut impl CryptoRngCore) -> String {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        // With room for the tag: a buffer that grows would leave the secret behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
        sealed.extend_from_slice(secret);
        self.aead(context)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.0), &mut *sealed)
            .expect("a secret is far below the 64 GiB of one GCM message");
        format!("{PREFIX}{}", BASE64.encode(&[nonce.as_slice(), sealed.as_slice()].concat()))
    }

    /// Opens what this key sealed for this context.
    pub fn open(&self, context: Context, sealed: &str) -> Result<Zeroizing<Vec<u8>>, ClientKeyError> {
        let encoded = sealed.strip_prefix(PREFIX).ok_or(ClientKeyError::Refused)?;
        let mut bytes = Zeroizing::new(BASE64.decode(encoded.as_bytes()).map_err(|_| ClientKeyError::Refused)?);
        let (nonce, ciphertext) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(ClientKeyError::Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| ClientKeyError::Refused)?;
        let secret = self
            .aead(context)
            .open_in_place(nonce, Aad::from(context.0), ciphertext)
            .map_err(|_| ClientKeyError::Refused)?;
        Ok(Zeroizing::new(secret.to_vec()))
    }

    /// What is stored beside a row to know the key again without opening the secret. It tells nothing of the key, and
    /// differs by context, so that nobody sees which wallets share one.
    pub fn verifier(&self, context: Context) -> [u8; 32] {
        *self.derive(VERIFIER, context)
    }

    /// Whether `stored` is this key's [`ClientKey::verifier`]; in constant time.
    pub fn verifies(&self, context: Context, stored: &[u8]) -> bool {
        verify_slices_are_equal(self.derive(VERIFIER, context).as_slice(), stored).is_ok()
    }

    fn aead(&self, context: Context) -> LessSafeKey {
        let key = self.derive(SEAL, context);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("the algorithm's key has 32 bytes"))
    }

    fn derive(&self, label: &[u8], context: Context) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, SALT)
            .extract(self.0.as_slice())
            .expand(&[label, &context.0], HKDF_SHA256)
            .and_then(|output| output.fill(key.as_mut_slice()))
            .expect("HKDF-SHA256 gives up to 255 blocks of 32 bytes");
        key
    }
}

/// Whether a stored value is sealed by a client key, and not by a Vault.
pub fn is_client_sealed(sealed: &str) -> bool {
    sealed.starts_with("client:")
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use rand_core::{CryptoRng, Error, OsRng, RngCore};
    use serde::Deserialize;

    use super::*;

    /// Vectors in `tests/client-v1.json`, made by an independent implementation.
    const VECTORS: usize = 8;

    fn key(fill: u8) -> ClientKey {
        ClientKey::from_slice(&[fill; 32]).unwrap()
    }

    fn context(wallet: &str) -> Context {
        Context::new(b"custody", wallet, "hot.eip155.v1")
    }

    /// A nonce that is known.
    struct Fixed(Vec<u8>);

    impl RngCore for Fixed {
        fn next_u32(&mut self) -> u32 {
            0
        }

        fn next_u64(&mut self) -> u64 {
            0
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for Fixed {}

    #[derive(Deserialize)]
    struct Vector {
        key: String,
        custody: String,
        wallet: String,
        purpose: String,
        nonce: String,
        secret: String,
        sealed: String,
        verifier: String,
    }

    #[test]
    fn an_independent_implementation_seals_the_same() {
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../tests/client-v1.json")).unwrap();
        assert_eq!(vectors.len(), VECTORS);
        for vector in vectors {
            let context = Context::new(&hex(&vector.custody), &vector.wallet, &vector.purpose);
            let key = ClientKey::from_slice(&hex(&vector.key)).unwrap();
            let secret = hex(&vector.secret);
            assert_eq!(key.seal(context, &secret, &mut Fixed(hex(&vector.nonce))), vector.sealed);
            assert_eq!(key.open(context, &vector.sealed).unwrap().as_slice(), secret);
            assert_eq!(HEXLOWER.encode(&key.verifier(context)), vector.verifier);
            assert!(key.verifies(context, &hex(&vector.verifier)));
        }
    }

    #[test]
    fn only_the_same_key_opens_and_only_in_its_place() {
        let sealed = key(1).seal(context("alice"), b"secret", &mut OsRng);
        assert_eq!(key(1).open(context("alice"), &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key(2).open(context("alice"), &sealed), Err(ClientKeyError::Refused));
        assert_eq!(key(1).open(context("bob"), &sealed), Err(ClientKeyError::Refused));
    }

    #[test]
    fn a_secret_is_never_sealed_to_the_same_bytes_twice() {
        let seal = || key(1).seal(context("alice"), b"secret", &mut OsRng);
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_verifier_knows_its_key_and_tells_nobody_which_wallets_share_one() {
        let verifier = key(1).verifier(context("alice"));
        assert!(key(1).verifies(context("alice"), &verifier));
        assert!(!key(2).verifies(context("alice"), &verifier));
        assert!(!key(1).verifies(context("bob"), &verifier));
        assert!(!key(1).verifies(context("alice"), &verifier[..31]));
        assert!(!key(1).verifies(context("alice"), &[]));
        assert_ne!(verifier, key(1).verifier(context("bob")));
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        for length in [0, 16, 31, 33, 64] {
            assert_eq!(ClientKey::from_slice(&vec![1; length]).err(), Some(ClientKeyError::Length));
        }
    }

    #[test]
    fn what_is_not_sealed_by_a_client_key_is_refused_in_the_same_words() {
        for sealed in
            ["", "client:v1:", "client:v1:AAAA", "client:v2:AAAA", "vault:v1:AAAA", "client:v1:%", "CLIENT:v1:"]
        {
            let error = key(1).open(context("alice"), sealed).unwrap_err();
            assert_eq!(error.to_string(), "wrong key or damaged", "{sealed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_sealed_opens(secret in prop::collection::vec(any::<u8>(), 0..200), fill: u8) {
            let sealed = key(fill).seal(context("alice"), &secret, &mut OsRng);
            prop_assert!(is_client_sealed(&sealed));
            prop_assert_eq!(key(fill).open(context("alice"), &sealed).unwrap().to_vec(), secret);
        }

        #[test]
        fn no_changed_bit_opens(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let sealed = key(1).seal(context("alice"), &[5; 32], &mut OsRng);
            let mut bytes = BASE64.decode(&sealed.as_bytes()[PREFIX.len()..]).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let changed = format!("{PREFIX}{}", BASE64.encode(&bytes));
            prop_assert_eq!(key(1).open(context("alice"), &changed), Err(ClientKeyError::Refused));
        }

        #[test]
        fn no_part_of_a_sealed_value_opens(length in any::<prop::sample::Index>()) {
            let sealed = key(1).seal(context("alice"), &[5; 32], &mut OsRng);
            let part = &sealed[..length.index(sealed.len())];
            prop_assert_eq!(key(1).open(context("alice"), part), Err(ClientKeyError::Refused));
        }

        #[test]
        fn no_other_key_opens_or_verifies(other: [u8; 32]) {
            prop_assume!(other != [1; 32]);
            let other = ClientKey::from_slice(&other).unwrap();
            let sealed = key(1).seal(context("alice"), b"secret", &mut OsRng);
            prop_assert_eq!(other.open(context("alice"), &sealed), Err(ClientKeyError::Refused));
            prop_assert!(!other.verifies(context("alice"), &key(1).verifier(context("alice"))));
        }
    }
}
