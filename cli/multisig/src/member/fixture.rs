//! Keys and documents that tests share, all derived from fixed seeds.

use std::collections::BTreeMap;

use chain::KeyRole;
use custody::{
    CustodyId, Role,
    identity::{Identity, PeerKeys, prove, statement},
    manifest::{Manifest, PublicHalf, SignedManifest, VERSION},
    phrase::{ENTROPY_BYTES, Keys, Phrase},
};
use data_encoding::HEXLOWER;

/// The phrase of a station.
fn keys(role: KeyRole) -> Keys {
    Phrase::from_entropy(&[role as u8 + 1; ENTROPY_BYTES]).unwrap().keys()
}

/// The custody of these tests.
pub(crate) fn custody_id() -> CustodyId {
    CustodyId::from_slice(&[7; 16]).unwrap()
}

/// An unsigned manifest.
pub(crate) fn manifest(revision: u32) -> SignedManifest {
    SignedManifest::new(Manifest {
        version: VERSION,
        custody_id: custody_id(),
        revision,
        cool: PublicHalf::from_keys(KeyRole::Cool, &keys(KeyRole::Cool)).unwrap(),
        cold: PublicHalf::from_keys(KeyRole::Cold, &keys(KeyRole::Cold)).unwrap(),
        safe_destinations: BTreeMap::from([("eip155:1".to_owned(), vec![format!("0x{}", "ab".repeat(20))])]),
    })
    .unwrap()
}

/// Adds a station's signature.
pub(crate) fn sign(manifest: &mut SignedManifest, role: KeyRole) {
    manifest.sign(role, &keys(role)).unwrap();
}

/// A party's keys with proofs; another party or seed (below 64), other keys.
pub(crate) fn identity(role: Role, seed: u8) -> Identity {
    let seed = role as u8 * 64 + seed;
    let signing = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let keys = PeerKeys {
        message_key: HEXLOWER.encode(signing.verifying_key().as_bytes()),
        xkey: nkeys::XKey::new_from_raw([seed; 32]).public_key(),
    };
    let user = nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, [seed; 32]).unwrap();
    let statement = statement(role, Some(custody_id()), &user.public_key(), &keys);
    Identity {
        role,
        custody_id: Some(custody_id()),
        nats_user: user.public_key(),
        message_proof: prove(&signing, &statement),
        nats_proof: HEXLOWER.encode(&user.sign(&statement).unwrap()),
        keys,
    }
}
