//! The store key: what it says of a row, and how it seals the tally.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};
use rand_core::CryptoRngCore;
use rusqlite::types::ValueRef;
use zeroize::Zeroizing;

use super::sum::Sum;

/// Of the derived keys.
const SALT: &[u8] = b"multisig-operator store key v1";
/// A nonce's part that is random; the rest counts. Two openings that draw the same one reveal whether two tallies were
/// equal, and nothing else: that is what SIV is for.
const RANDOM: usize = NONCE_LEN - size_of::<u32>();

/// By which the rows of a store are authenticated. Nothing of it can be printed, and it is wiped on drop.
pub struct StoreKey {
    rows: hmac::Key,
    tally: LessSafeKey,
    random: [u8; RANDOM],
    sealed: AtomicU32,
}

impl StoreKey {
    /// From its 32 bytes; `rng` gives the nonces of this opening.
    pub fn new(secret: &[u8; 32], rng: &mut impl CryptoRngCore) -> Self {
        let mut random = [0; RANDOM];
        rng.fill_bytes(&mut random);
        let (rows, tally) = (derive(secret, b"rows"), derive(secret, b"tally"));
        let tally = UnboundKey::new(&AES_256_GCM_SIV, tally.as_slice()).expect("the algorithm's key has 32 bytes");
        Self {
            rows: hmac::Key::new(hmac::HMAC_SHA256, rows.as_slice()),
            tally: LessSafeKey::new(tally),
            random,
            sealed: AtomicU32::new(0),
        }
    }

    /// HMAC-SHA256 of a row of a table: of all its columns that are not NULL, with their names, so that a column which a
    /// later step of the schema adds changes nothing of the rows that are there.
    pub(super) fn row<'a>(&self, table: &str, columns: impl Iterator<Item = (&'a str, ValueRef<'a>)>) -> Sum {
        let mut bytes = Vec::with_capacity(512);
        part(&mut bytes, b't', table.as_bytes());
        for (name, value) in columns {
            let (kind, value) = match value {
                ValueRef::Null => continue,
                ValueRef::Integer(value) => (b'i', &value.to_be_bytes()[..]),
                ValueRef::Real(value) => (b'r', &value.to_bits().to_be_bytes()[..]),
                ValueRef::Text(value) => (b's', value),
                ValueRef::Blob(value) => (b'b', value),
            };
            part(&mut bytes, b'c', name.as_bytes());
            part(&mut bytes, kind, value);
        }
        let tag = hmac::sign(&self.rows, &bytes);
        Sum::from_bytes(tag.as_ref()).expect("SHA-256 has 32 bytes")
    }

    /// Nonce, ciphertext, tag.
    pub(super) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let count = self.sealed.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut nonce = [0; NONCE_LEN];
        nonce[..RANDOM].copy_from_slice(&self.random);
        nonce[RANDOM..].copy_from_slice(&count);
        let mut sealed = plain.to_vec();
        self.tally
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("a tally is far below the 64 GiB of one message");
        [nonce.as_slice(), sealed.as_slice()].concat()
    }

    /// What this key sealed; none: it did not.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = ciphertext.to_vec();
        let plain = self.tally.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut bytes).ok()?;
        Some(plain.to_vec())
    }
}

/// No part runs into the next.
fn part(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn derive(secret: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, SALT)
        .extract(secret)
        .expand(&[label], HKDF_SHA256)
        .and_then(|output| output.fill(key.as_mut_slice()))
        .expect("HKDF-SHA256 gives up to 255 blocks of 32 bytes");
    key
}
