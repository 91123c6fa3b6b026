//! ECDSA over secp256k1: `k256`, and on top of it the rules of `chain_evm`, which decide what a signer gives out and
//! takes.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use chain::{ChainRules, Payload};
use chain_evm::EvmSafe;
use k256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use known_answers::{Answer, Case, Hex, Tally, run};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const HIGH_S: &str = "s in the upper half (EIP-2)";
/// The point's x is not below the group's order, which a random signature meets once in 2^128.
const REDUCED: &str = "r reduced, for which ecrecover has no v";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key: Key,
}

#[derive(Deserialize)]
struct Key {
    uncompressed: Hex,
}

#[derive(Deserialize)]
struct Input {
    msg: Hex,
    sig: Hex,
}

fn rules() -> EvmSafe {
    EvmSafe::new("eip155:1".parse().unwrap()).unwrap()
}

/// Whether Ethereum's form of r and s, with either recovery bit, is taken.
fn by_the_rules(key: &[u8], digest: &[u8; 32], rs: &[u8]) -> bool {
    [27, 28].iter().any(|v| rules().verify(key, &Payload::Digest(*digest), &[rs, &[*v]].concat()))
}

/// What the rules say to r and s, 32 bytes each. `k256` must agree, but for what Ethereum can't express.
fn answer(group: &Group, message: &[u8], rs: &[u8]) -> Answer {
    let key = &group.public_key.uncompressed.0;
    let digest: [u8; 32] = Sha256::digest(message).into();
    let signature = Signature::from_slice(rs).ok();
    let public = VerifyingKey::from_sec1_bytes(key).unwrap();
    let verified = signature.is_some_and(|signature| public.verify_prehash(&digest, &signature).is_ok());
    match (verified, by_the_rules(&public.to_sec1_bytes(), &digest, rs)) {
        (true, true) => Answer::Accepted,
        (true, false) => Answer::Narrower(REDUCED),
        (false, true) => panic!("the rules take what k256 refuses"),
        (false, false) if signature.is_some_and(|signature| signature.normalize_s().is_some()) => {
            Answer::Narrower(HIGH_S)
        }
        (false, false) => Answer::Refused,
    }
}

fn answer_to_der(group: &Group, case: &Case<Input>) -> Answer {
    let Input { msg, sig } = &case.input;
    Signature::from_der(&sig.0).map_or(Answer::Refused, |signature| answer(group, &msg.0, &signature.to_bytes()))
}

const SUBJECT: &str = "k256 and chain_evm";

#[test]
fn der_signatures_are_judged_as_the_authors_judge_them_but_for_high_s() {
    let narrower = BTreeMap::from([(HIGH_S, 69)]);
    let expected = Tally { valid: 95, invalid: 299, narrower, ..Tally::default() };
    run("ecdsa_secp256k1_sha256_test.json", SUBJECT, &expected, answer_to_der);
}

#[test]
fn low_s_signatures_are_judged_as_the_authors_judge_them() {
    let narrower = BTreeMap::from([(REDUCED, 1)]);
    let expected = Tally { valid: 161, invalid: 301, narrower, ..Tally::default() };
    run("ecdsa_secp256k1_sha256_bitcoin_test.json", SUBJECT, &expected, answer_to_der);
}

#[test]
fn plain_signatures_are_judged_as_the_authors_judge_them_but_for_high_s() {
    let narrower = BTreeMap::from([(HIGH_S, 69)]);
    let expected = Tally { valid: 94, invalid: 79, narrower, ..Tally::default() };
    run("ecdsa_secp256k1_sha256_p1363_test.json", SUBJECT, &expected, |group: &Group, case: &Case<Input>| {
        answer(group, &case.input.msg.0, &case.input.sig.0)
    });
}
