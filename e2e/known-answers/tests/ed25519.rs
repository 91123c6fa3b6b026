//! Ed25519 through `ed25519-dalek`, verified strictly as everywhere in this project.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use known_answers::{Answer, Case, Hex, Tally, read, report, run};
use serde::Deserialize;

#[derive(Deserialize)]
struct Rfc {
    name: String,
    secret: Hex,
    public: Hex,
    message: Hex,
    signature: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key: Jwk,
}

#[derive(Deserialize)]
struct Jwk {
    pk: Hex,
}

#[derive(Deserialize)]
struct Input {
    msg: Hex,
    sig: Hex,
}

fn strictly(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::try_from(public) else { return false };
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

#[test]
fn rfc_8032_section_7_1_signs_and_verifies() {
    let cases: Vec<Rfc> = read("rfc8032/vectors.json");
    for Rfc { name, secret, public, message, signature } in &cases {
        let key = SigningKey::from_bytes(&secret.array());
        assert_eq!(key.verifying_key().as_bytes().as_slice(), public.0, "{name}");
        assert_eq!(key.sign(&message.0).to_bytes().as_slice(), signature.0, "{name}");
        assert!(strictly(&public.0, &message.0, &signature.0), "{name}");
    }
    report("RFC 8032", &format!("{} signatures", cases.len()));
    assert_eq!(cases.len(), 5);
}

#[test]
fn wycheproof_is_judged_as_its_authors_judge_it() {
    let expected = Tally { valid: 88, invalid: 62, ..Tally::default() };
    run("ed25519_test.json", "ed25519", &expected, |group: &Group, case: &Case<Input>| {
        let Input { msg, sig } = &case.input;
        if strictly(&group.public_key.pk.0, &msg.0, &sig.0) { Answer::Accepted } else { Answer::Refused }
    });
}

/// Under a key of small order one signature fits many messages: with S = 0 and R of small order too, the equation
/// holds whenever the challenge is divisible. Verification that is not strict takes those.
#[test]
fn no_point_of_small_order_is_a_key_or_half_a_signature() {
    let points: Vec<Hex> = read("zip215/small_order.json");
    let (mut pairs, mut loose) = (0, 0);
    for key in &points {
        for r in &points {
            let signature = [r.0.as_slice(), &[0; 32]].concat();
            assert!(!strictly(&key.0, b"Zcash", &signature));
            let public = VerifyingKey::try_from(key.0.as_slice()).unwrap();
            loose += usize::from(public.verify(b"Zcash", &Signature::from_slice(&signature).unwrap()).is_ok());
            pairs += 1;
        }
    }
    report("ZIP 215", &format!("{pairs} pairs of small order, all refused; {loose} would pass without strictness"));
    assert_eq!(pairs, 196);
    assert!(loose > 0, "the pairs no longer show what strictness is for");
}
