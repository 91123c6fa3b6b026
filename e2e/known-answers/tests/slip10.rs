//! SLIP-0010: ed25519 through `slip10_ed25519`, secp256k1 through `bip32`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use bip32::{DerivationPath, XPrv};
use ed25519_dalek::SigningKey;
use known_answers::{Hex, read, report};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    curve: String,
    seed: Hex,
    path: String,
    fingerprint: Hex,
    chain_code: Hex,
    private: Hex,
    public: Hex,
}

fn keys(curve: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = read("slip10/vectors.json");
    keys.retain(|key| key.curve == curve);
    report("SLIP-0010", &format!("{} keys on {curve}", keys.len()));
    assert_eq!(keys.len(), 12);
    keys
}

/// The library gives the private key only; chain code and fingerprint show in the keys further down the path.
#[test]
fn ed25519_keys_are_the_published_ones() {
    for key in keys("ed25519") {
        let path: DerivationPath = key.path.parse().unwrap();
        assert!(path.iter().all(|child| child.is_hardened()), "{}", key.path);
        let indexes: Vec<u32> = path.iter().map(|child| child.index()).collect();
        let private = slip10_ed25519::derive_ed25519_private_key(&key.seed.0, &indexes);
        assert_eq!(private.as_slice(), key.private.0, "{}", key.path);
        let public = SigningKey::from_bytes(&private).verifying_key();
        assert_eq!([&[0], public.as_bytes().as_slice()].concat(), key.public.0, "{}", key.path);
    }
}

#[test]
fn secp256k1_keys_are_the_published_ones() {
    for key in keys("secp256k1") {
        let path: DerivationPath = key.path.parse().unwrap();
        let xprv = XPrv::derive_from_path(&key.seed.0, &path).unwrap();
        assert_eq!(xprv.to_bytes().as_slice(), key.private.0, "{}", key.path);
        assert_eq!(xprv.public_key().to_bytes().as_slice(), key.public.0, "{}", key.path);
        assert_eq!(xprv.attrs().chain_code.as_slice(), key.chain_code.0, "{}", key.path);
        assert_eq!(xprv.attrs().parent_fingerprint.as_slice(), key.fingerprint.0, "{}", key.path);
    }
}
