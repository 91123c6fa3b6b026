//! Promises of the manifest.

use proptest::prelude::*;

use chain::KeyRole;
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::Signature;

use super::*;
use crate::{
    CustodyId,
    phrase::{EIP155, Keys, Phrase},
    trust::CustodyTrust,
};

fn keys(byte: u8) -> Keys {
    Phrase::from_entropy(&[byte; 32]).unwrap().keys()
}

fn manifest() -> Manifest {
    Manifest {
        version: VERSION,
        custody_id: "7b0e7b0e7b0e7b0e7b0e7b0e7b0e7b0e".parse().unwrap(),
        revision: 1,
        cool: PublicHalf::from_keys(KeyRole::Cool, &keys(2)).unwrap(),
        cold: PublicHalf::from_keys(KeyRole::Cold, &keys(3)).unwrap(),
        safe_destinations: [("eip155:1".to_owned(), vec![format!("0x{}", "aB".repeat(20))])].into(),
    }
}

fn signed() -> SignedManifest {
    let mut signed = SignedManifest::new(manifest()).unwrap();
    signed.sign(KeyRole::Cool, &keys(2)).unwrap();
    signed.sign(KeyRole::Cold, &keys(3)).unwrap();
    signed
}

/// The document around any payload, signatures kept.
fn document(payload: &[u8], signatures: &[(&str, String)]) -> String {
    let signatures: Vec<_> =
        signatures.iter().map(|(role, text)| serde_json::json!({"role": role, "signature": text})).collect();
    serde_json::json!({"payload": BASE64.encode(payload), "signatures": signatures}).to_string()
}

fn invalid(change: impl FnOnce(&mut Manifest)) -> String {
    let mut changed = manifest();
    change(&mut changed);
    SignedManifest::new(changed).unwrap_err().to_string()
}

#[test]
fn signed_at_both_stations_it_is_believed_after_travelling() {
    let signed = signed();
    let travelled = SignedManifest::parse(signed.to_json().as_bytes()).unwrap();
    assert_eq!(travelled, signed);
    let verified = travelled.verify().unwrap();
    assert_eq!(verified.manifest(), &manifest());
    assert_eq!(verified.custody_id(), manifest().custody_id);
    assert_eq!(verified.digest(), signed.digest());
    assert_eq!(verified.cool_key(EIP155), Some(keys(2).public_key(EIP155).unwrap().as_slice()));
    assert_eq!(verified.cold_key(EIP155), Some(keys(3).public_key(EIP155).unwrap().as_slice()));
    assert_eq!(verified.cool_key("solana"), None);
    assert_eq!(verified.safe_destinations("eip155:1").len(), 1);
    assert!(verified.safe_destinations("eip155:2").is_empty());
    assert!(verified.is_half(KeyRole::Cool, &keys(2)).unwrap());
    assert!(!verified.is_half(KeyRole::Cool, &keys(3)).unwrap());
}

#[test]
fn half_signed_it_is_refused_and_the_missing_station_is_named() {
    let mut signed = SignedManifest::new(manifest()).unwrap();
    assert_eq!(signed.verify(), Err(ManifestError::NotSigned(KeyRole::Cool)));
    signed.sign(KeyRole::Cool, &keys(2)).unwrap();
    assert_eq!(signed.signers(), Ok(vec![KeyRole::Cool]));
    let error = signed.verify().unwrap_err();
    assert_eq!(error, ManifestError::NotSigned(KeyRole::Cold));
    assert!(error.to_string().contains("ceremony sign"));
}

#[test]
fn a_station_signs_with_its_own_phrase_only() {
    let mut signed = SignedManifest::new(manifest()).unwrap();
    assert_eq!(signed.sign(KeyRole::Cool, &keys(3)), Err(ManifestError::OtherPhrase(KeyRole::Cool)));
    assert_eq!(signed.sign(KeyRole::Cold, &keys(9)), Err(ManifestError::OtherPhrase(KeyRole::Cold)));
    assert_eq!(signed.sign(KeyRole::Hot, &keys(1)), Err(ManifestError::NotAStation(KeyRole::Hot)));
    assert_eq!(signed.signers(), Ok(vec![]));
}

#[test]
fn one_station_can_not_sign_for_the_other() {
    let one = signed();
    let mut swapped = one.clone();
    swapped.signatures.insert(KeyRole::Cold, one.signatures[&KeyRole::Cool]);
    assert_eq!(swapped.verify(), Err(ManifestError::BadSignature(KeyRole::Cold)));
    assert_eq!(swapped.signers(), Err(ManifestError::BadSignature(KeyRole::Cold)));
}

#[test]
fn each_way_of_being_malformed_has_its_own_line() {
    let text = |bytes: &[u8]| SignedManifest::parse(bytes).unwrap_err().to_string();
    let payload = serde_json::to_vec(&manifest()).unwrap();
    let with = |signatures: &[(&str, String)]| text(document(&payload, signatures).as_bytes());
    assert!(text(b"").contains("malformed manifest"));
    assert!(text(b"{}").contains("missing field `payload`"));
    assert!(text(br#"{"payload":"!","signatures":[]}"#).contains("malformed manifest"));
    assert!(text(br#"{"payload":"","signatures":[],"extra":1}"#).contains("unknown field `extra`"));
    assert!(with(&[("cool", "00".repeat(63))]).contains("128 hex digits"));
    assert!(with(&[("cool", "00".repeat(64)), ("cool", "00".repeat(64))]).contains("two signatures by cool"));
    assert!(with(&[("hot", "00".repeat(64))]).contains("not hot"));
    assert!(with(&[("warm", "00".repeat(64))]).contains("unknown variant"));
}

#[test]
fn another_version_is_called_another_version_whatever_else_it_holds() {
    let newer = document(br#"{"version":2,"novelty":true}"#, &[]);
    assert_eq!(
        SignedManifest::parse(newer.as_bytes()),
        Err(ManifestError::UnknownVersion { what: "manifest", version: 2 })
    );
    let half = PublicHalf::parse(br#"{"version":7}"#);
    assert_eq!(half, Err(ManifestError::UnknownVersion { what: "public half", version: 7 }));
}

#[test]
fn only_a_custody_is_a_manifest() {
    assert!(invalid(|m| m.revision = 0).contains("revision"));
    assert!(invalid(|m| m.cold = PublicHalf { role: KeyRole::Cold, ..m.cool.clone() }).contains("same phrase"));
    assert!(invalid(|m| m.cold.keys = m.cool.keys.clone()).contains("same phrase"));
    assert!(invalid(|m| m.cool.role = KeyRole::Cold).contains("says that it is cold"));
    assert!(invalid(|m| m.cool.version = 9).contains("version 9"));
    assert!(invalid(|m| m.cool.identity = "00".repeat(32)).contains("identity"));
    assert!(invalid(|m| m.cool.identity = m.cool.identity.to_uppercase()).contains("identity"));
    assert!(invalid(|m| m.cool.keys.clear()).contains("exactly: eip155"));
    assert!(invalid(|m| drop(m.cool.keys.insert("solana".into(), "0x".into()))).contains("exactly: eip155"));
    assert!(invalid(|m| drop(m.cool.keys.insert(EIP155.into(), format!("0x{}", "05".repeat(33))))).contains("SEC1"));
}

#[test]
fn safe_destinations_are_addresses_on_chains_with_keys() {
    let with = |chain: &str, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        invalid(|m| m.safe_destinations = [(chain.to_owned(), addresses)].into())
    };
    let address = format!("0x{}", "ab".repeat(20));
    assert!(invalid(|m| m.safe_destinations.clear()).contains("no safe destination"));
    assert!(with("eip155:1", &[]).contains("no safe destination on eip155:1"));
    assert!(with("eip155:1", &["0x12"]).contains("40 hex digits"));
    assert!(with("eip155:1", &[&address, &address.to_uppercase().replace("0X", "0x")]).contains("twice"));
    for chain in ["eip155", "eip155:", "eip155:01", "eip155:x", "solana:1"] {
        assert!(with(chain, &[&address]).contains("not a chain id"), "{chain}");
    }
}

#[test]
fn only_the_pinned_manifest_is_used() {
    let verified = signed().verify().unwrap();
    let pin = CustodyTrust { id: verified.custody_id(), manifest_digest: verified.digest() };
    assert_eq!(verified.require(&pin), Ok(()));
    let other = CustodyTrust { manifest_digest: "00".repeat(32), ..pin.clone() };
    assert!(matches!(verified.require(&other), Err(ManifestError::NotPinned { .. })));
    let other = CustodyTrust { id: CustodyId::from_slice(&[0; 16]).unwrap(), ..pin };
    assert!(matches!(verified.require(&other), Err(ManifestError::Invalid(_))));
}

#[test]
fn a_public_half_travels_as_json_and_holds_no_secret() {
    let half = PublicHalf::from_keys(KeyRole::Cool, &keys(2)).unwrap();
    assert_eq!(PublicHalf::parse(half.to_json().as_bytes()), Ok(half.clone()));
    assert!(!half.to_json().contains(&HEXLOWER.encode(keys(2).secret(EIP155).unwrap().as_slice())));
    assert_eq!(PublicHalf::from_keys(KeyRole::Hot, &keys(1)), Err(ManifestError::NotAStation(KeyRole::Hot)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_changed_byte_of_the_payload_is_believed(position: prop::sample::Index, change in 1..=255u8) {
        let signed = signed();
        let mut payload = signed.payload.clone();
        let position = position.index(payload.len());
        payload[position] ^= change;
        let hex = |role| HEXLOWER.encode(&signed.signatures[&role].to_bytes());
        let text = document(&payload, &[("cool", hex(KeyRole::Cool)), ("cold", hex(KeyRole::Cold))]);
        prop_assert!(SignedManifest::parse(text.as_bytes()).and_then(|changed| changed.verify()).is_err());
    }

    #[test]
    fn no_changed_byte_of_a_signature_is_believed(position in 0..64usize, change in 1..=255u8, cold: bool) {
        let mut signed = signed();
        let role = if cold { KeyRole::Cold } else { KeyRole::Cool };
        let mut bytes = signed.signatures[&role].to_bytes();
        bytes[position] ^= change;
        signed.signatures.insert(role, Signature::from_bytes(&bytes));
        let travelled = SignedManifest::parse(signed.to_json().as_bytes()).unwrap();
        prop_assert_eq!(travelled.verify(), Err(ManifestError::BadSignature(role)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SignedManifest::parse(&bytes).is_err());
        prop_assert!(PublicHalf::parse(&bytes).is_err());
    }
}
