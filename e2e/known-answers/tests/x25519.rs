//! X25519: `aws-lc-rs` under TLS, `crypto_box` under the envelope.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};
use curve25519_dalek::MontgomeryPoint;
use known_answers::{Answer, Case, Hex, Tally, run};
use salsa20::{cipher::consts::U10, hsalsa};
use serde::Deserialize;

#[derive(Deserialize)]
struct Group {}

#[derive(Deserialize)]
struct Input {
    public: Hex,
    private: Hex,
    shared: Hex,
}

/// On the other curve that X25519 computes on as well.
const TWIST: &str = "a public key on the twist";
const TORSION: &str = "a public key outside the subgroup of prime order";

#[test]
fn aws_lc_agrees_on_the_published_secret_and_on_none_that_is_zero() {
    let expected = Tally { valid: 265, acceptable_accepted: 222, acceptable_refused: 31, ..Tally::default() };
    run("x25519_test.json", "aws-lc-rs", &expected, |_: &Group, case: &Case<Input>| {
        let Input { public, private, shared } = &case.input;
        let private = PrivateKey::from_private_key(&X25519, &private.0).unwrap();
        let public = UnparsedPublicKey::new(&X25519, &public.0);
        let agreed = agree(&private, public, (), |secret| if secret == shared.0 { Ok(()) } else { Err(()) });
        assert_eq!(agreed.is_err(), shared.0 == [0; 32], "case {}", case.tc_id);
        agreed.map_or(Answer::Refused, |()| Answer::Accepted)
    });
}

/// `crypto_box` keeps the secret to itself, so its box is opened with the key that NaCl makes of the published secret.
///
/// It multiplies by the private key modulo the subgroup's order, which RFC 7748 does not: the same for every key that
/// X25519 makes, another secret for the odd ones. See docs/decisions.
#[test]
fn crypto_box_agrees_on_the_published_secret_with_every_key_that_x25519_makes() {
    let narrower = BTreeMap::from([(TWIST, 218), (TORSION, 180)]);
    let expected = Tally { valid: 103, acceptable_accepted: 17, narrower, ..Tally::default() };
    run("x25519_test.json", "crypto_box", &expected, |_: &Group, case: &Case<Input>| {
        let Input { public, private, shared } = &case.input;
        let ours = SalsaBox::new(&PublicKey::from(public.array()), &SecretKey::from(private.array()));
        let sealed = ours.encrypt(&[7; 24].into(), b"message".as_slice()).unwrap();
        let key = hsalsa::<U10>(&shared.array().into(), &[0; 16].into());
        if XSalsa20Poly1305::new(&key).decrypt(&[7; 24].into(), sealed.as_slice()).is_ok() {
            return Answer::Accepted;
        }
        match MontgomeryPoint(public.array()).to_edwards(0) {
            None => Answer::Narrower(TWIST),
            Some(point) if !point.is_torsion_free() => Answer::Narrower(TORSION),
            Some(_) => Answer::Refused,
        }
    });
}
