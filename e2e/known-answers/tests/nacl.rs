//! NaCl's boxes (X25519, XSalsa20-Poly1305): `crypto_box` under the envelope, the XKeys of `nkeys` under the sealed
//! cool phrase.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};
use known_answers::{Hex, read, report};
use nkeys::XKey;
use salsa20::{cipher::consts::U10, hsalsa};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    hsalsa20: Vec<Core>,
    boxes: Vec<Boxed>,
    secretboxes: Vec<SecretBoxed>,
}

#[derive(Deserialize)]
struct Core {
    shared: Hex,
    key: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Boxed {
    source: String,
    secret: Hex,
    public: Hex,
    peer_secret: Hex,
    peer_public: Hex,
    nonce: Hex,
    message: Hex,
    r#box: Hex,
}

#[derive(Deserialize)]
struct SecretBoxed {
    source: String,
    key: Hex,
    nonce: Hex,
    message: Hex,
    r#box: Hex,
}

#[test]
fn boxes_are_the_published_ones_from_either_side() {
    let file: File = read("nacl/vectors.json");
    for case in &file.boxes {
        let (alice, bob) = (SecretKey::from(case.secret.array()), SecretKey::from(case.peer_secret.array()));
        assert_eq!(alice.public_key().as_bytes().as_slice(), case.public.0, "{}", case.source);
        assert_eq!(bob.public_key().as_bytes().as_slice(), case.peer_public.0, "{}", case.source);
        let nonce = case.nonce.array::<24>().into();
        for (peer, own) in [(case.peer_public.array(), &alice), (case.public.array(), &bob)] {
            let opener = SalsaBox::new(&PublicKey::from(peer), own);
            assert_eq!(opener.encrypt(&nonce, case.message.0.as_slice()).unwrap(), case.r#box.0, "{}", case.source);
            assert_eq!(opener.decrypt(&nonce, case.r#box.0.as_slice()).unwrap(), case.message.0, "{}", case.source);
        }
        let (alice, bob) = (XKey::new_from_raw(case.secret.array()), XKey::new_from_raw(case.peer_secret.array()));
        let sealed = [b"xkv1", case.nonce.0.as_slice(), &case.r#box.0].concat();
        assert_eq!(alice.seal_with_nonce(&case.message.0, &bob, nonce).unwrap(), sealed, "{}", case.source);
        assert_eq!(bob.open(&sealed, &alice).unwrap(), case.message.0, "{}", case.source);
    }
    report("NaCl", &format!("{} boxes, from either side, as XKey boxes too", file.boxes.len()));
    assert_eq!(file.boxes.len(), 2);
}

#[test]
fn secret_boxes_and_their_key_are_the_published_ones() {
    let file: File = read("nacl/vectors.json");
    for Core { shared, key } in &file.hsalsa20 {
        assert_eq!(hsalsa::<U10>(&shared.array().into(), &[0; 16].into()).as_slice(), key.0);
    }
    for SecretBoxed { source, key, nonce, message, r#box } in &file.secretboxes {
        let cipher = XSalsa20Poly1305::new(&key.array().into());
        let nonce = nonce.array::<24>().into();
        assert_eq!(cipher.encrypt(&nonce, message.0.as_slice()).unwrap(), r#box.0, "{source}");
        assert_eq!(cipher.decrypt(&nonce, r#box.0.as_slice()).unwrap(), message.0, "{source}");
    }
    let counts = (file.hsalsa20.len(), file.secretboxes.len());
    report("NaCl", &format!("{} box key, {} secret box", counts.0, counts.1));
    assert_eq!(counts, (1, 1));
}

#[test]
fn no_changed_bit_of_a_box_opens() {
    let file: File = read("nacl/vectors.json");
    let mut tried = 0;
    for case in &file.boxes {
        let opener = SalsaBox::new(&PublicKey::from(case.public.array()), &SecretKey::from(case.peer_secret.array()));
        for bit in 0..case.r#box.0.len() * 8 {
            let mut changed = case.r#box.0.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(opener.decrypt(&case.nonce.array::<24>().into(), changed.as_slice()).is_err(), "bit {bit}");
            tried += 1;
        }
    }
    report("NaCl", &format!("{tried} boxes with one changed bit, none opens"));
    assert_eq!(tried, 2 * 147 * 8);
}
