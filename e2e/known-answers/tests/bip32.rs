//! BIP32 through `bip32`, as `custody` uses it.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use bip32::{ChildNumber, DerivationPath, Prefix, XPrv, XPub};
use known_answers::{Hex, read, report};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    keys: Vec<Key>,
    invalid: Vec<String>,
}

#[derive(Deserialize)]
struct Key {
    seed: Hex,
    path: String,
    xpub: String,
    xprv: String,
}

#[test]
fn derived_keys_are_the_published_ones() {
    let keys = read::<File>("bip32/vectors.json").keys;
    for key in &keys {
        let path: DerivationPath = key.path.parse().unwrap();
        let xprv = XPrv::derive_from_path(&key.seed.0, &path).unwrap();
        assert_eq!(&*xprv.to_string(Prefix::XPRV), &key.xprv, "{}", key.path);
        assert_eq!(xprv.public_key().to_string(Prefix::XPUB), key.xpub, "{}", key.path);
        assert_eq!(key.xprv.parse::<XPrv>().unwrap(), xprv);
        assert_eq!(key.xpub.parse::<XPub>().unwrap(), xprv.public_key());
    }
    report("BIP32", &format!("{} keys, each private and public", keys.len()));
    assert_eq!(keys.len(), 17);
}

#[test]
fn public_derivation_meets_private_derivation() {
    let keys = read::<File>("bip32/vectors.json").keys;
    let mut met = 0;
    for key in &keys {
        let path: DerivationPath = key.path.parse().unwrap();
        let Some(last) = path.iter().last().filter(|last: &ChildNumber| !last.is_hardened()) else { continue };
        let (parent, _) = key.path.rsplit_once('/').unwrap();
        let parent = XPrv::derive_from_path(&key.seed.0, &parent.parse().unwrap()).unwrap().public_key();
        assert_eq!(parent.derive_child(last).unwrap().to_string(Prefix::XPUB), key.xpub, "{}", key.path);
        met += 1;
    }
    report("BIP32", &format!("{met} keys derived from a public parent"));
    assert_eq!(met, 6);
}

/// `bip32` looks at the bytes, not at whether a root may name a parent; nothing here reads extended keys.
#[test]
fn invalid_extended_keys_are_refused_but_for_roots_with_a_parent() {
    let invalid = read::<File>("bip32/vectors.json").invalid;
    let mut roots = 0;
    for key in &invalid {
        let private = key.parse::<XPrv>().map(|key| key.attrs().clone());
        let Ok(attrs) = private.or_else(|_| key.parse::<XPub>().map(|key| key.attrs().clone())) else { continue };
        assert_eq!(attrs.depth, 0, "{key}");
        assert!(attrs.parent_fingerprint != [0; 4] || attrs.child_number != ChildNumber(0), "{key}");
        roots += 1;
    }
    report("BIP32", &format!("{} invalid extended keys, {roots} of them roots with a parent", invalid.len()));
    assert_eq!((invalid.len(), roots), (16, 4));
}
