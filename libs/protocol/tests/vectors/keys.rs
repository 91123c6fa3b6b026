//! Everybody's keys, and sealing by hand: without the library, so that things can be made that it never makes.

use std::{collections::BTreeMap, sync::Arc};

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use custody::{CustodyId, Role, identity::PeerKeys};
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;
use protocol::envelope::{Body, Kind, OwnKeys, Party, Peers, Sealed, Signed};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hex;

/// When everything happens, Unix milliseconds.
pub(crate) const NOW: u64 = 1_800_000_000_000;
pub(crate) const DOMAIN: &str = "multisig.msg.v1";
pub(crate) const CUSTODY: [u8; 16] = [7; 16];

/// Bytes that look random and are the same in every run.
pub(crate) fn noise<const N: usize>(label: &str) -> [u8; N] {
    Sha256::digest(label)[..N].try_into().unwrap()
}

fn seeds(role: Role) -> ([u8; 32], [u8; 32]) {
    (noise(&format!("{role} message")), noise(&format!("{role} xkey")))
}

pub(crate) fn own(role: Role) -> Arc<OwnKeys> {
    let (message, xkey) = seeds(role);
    Arc::new(OwnKeys::from_seeds(&message, &xkey))
}

pub(crate) fn message_key(role: Role) -> SigningKey {
    SigningKey::from_bytes(&seeds(role).0)
}

pub(crate) fn xkey_public(role: Role) -> [u8; 32] {
    *SecretKey::from_bytes(seeds(role).1).public_key().as_bytes()
}

/// A role that knows all others.
pub(crate) fn party(role: Role) -> Party {
    let others = Role::ALL.into_iter().filter(|other| *other != role);
    let peers: BTreeMap<Role, Vec<PeerKeys>> = others.map(|other| (other, vec![own(other).public().clone()])).collect();
    let custody = CustodyId::from_slice(&CUSTODY).unwrap();
    Party::new(custody, role, own(role), Peers::new(&peers).unwrap()).unwrap()
}

pub(crate) fn subject(of: Role, lane: &str) -> String {
    format!("ms.{}.{of}.{lane}", hex(CUSTODY))
}

/// `u64be(len) || domain || u64be(len) || body`.
pub(crate) fn covered(domain: &str, body: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap().to_be_bytes();
    [&len(domain.as_bytes())[..], domain.as_bytes(), &len(body), body].concat()
}

/// What App asks Keeper, before anything about it is changed.
pub(crate) fn body() -> Body {
    Body {
        v: 1,
        custody_id: CUSTODY.to_vec(),
        id: noise::<16>("id").to_vec(),
        in_reply_to: Vec::new(),
        subject: subject(Role::Keeper, "op"),
        sender: "app".to_owned(),
        recipient: "keeper".to_owned(),
        iat_ms: NOW,
        exp_ms: NOW + 30_000,
        kind: Kind::Request.into(),
        payload: b"payload".to_vec(),
    }
}

pub(crate) fn sign(by: Role, body: &[u8]) -> Signed {
    let sig = message_key(by).sign(&covered(DOMAIN, body)).to_bytes().to_vec();
    Signed { body: body.to_vec(), sig }
}

/// Sealed by hand.
pub(crate) fn seal(to: [u8; 32], ephemeral: [u8; 32], nonce: [u8; 24], signed: &[u8]) -> Sealed {
    let ephemeral = SecretKey::from_bytes(ephemeral);
    let ciphertext = SalsaBox::new(&PublicKey::from_bytes(to), &ephemeral).encrypt(&nonce.into(), signed).unwrap();
    Sealed {
        v: 1,
        to_xkey: to.to_vec(),
        eph_pub: ephemeral.public_key().as_bytes().to_vec(),
        r#box: [b"xkv1", &nonce[..], &ciphertext].concat(),
    }
}

/// Signed by `by` and sealed to `to` with the same key and nonce each time.
pub(crate) fn sealed(by: Role, to: Role, body: &Body) -> Sealed {
    let signed = sign(by, &body.encode_to_vec()).encode_to_vec();
    seal(xkey_public(to), noise("ephemeral"), noise("nonce"), &signed)
}

pub(crate) fn make() -> Value {
    let keys = |role: Role| {
        let (message, xkey) = seeds(role);
        let public = own(role).public().clone();
        let value = json!({
            "messageSeed": hex(message),
            "messageKey": public.message_key,
            "xkeySeed": nkeys::XKey::new_from_raw(xkey).seed().unwrap(),
            "xkeyPrivate": hex(xkey),
            "xkey": public.xkey,
            "xkeyPublic": hex(xkey_public(role)),
        });
        (role.to_string(), value)
    };
    let roles: BTreeMap<String, Value> = Role::ALL.into_iter().map(keys).collect();
    json!({"custodyId": hex(CUSTODY), "roles": roles})
}
