//! AES-GCM of `aws-lc-rs`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use known_answers::{Answer, Case, Hex, Tally, run};
use serde::Deserialize;

const NONCE: &str = "a nonce that has not 96 bits";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    key_size: usize,
}

#[derive(Deserialize)]
struct Input {
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
}

fn algorithm(bits: usize) -> &'static Algorithm {
    match bits {
        128 => &AES_128_GCM,
        192 => &AES_192_GCM,
        256 => &AES_256_GCM,
        bits => panic!("AES has no key of {bits} bits"),
    }
}

/// Opens, and what opens is sealed again and must give the same bytes.
fn answer(group: &Group, case: &Case<Input>) -> Answer {
    let Input { key, iv, aad, msg, ct, tag } = &case.input;
    let key = LessSafeKey::new(UnboundKey::new(algorithm(group.key_size), &key.0).unwrap());
    let nonce = || Nonce::try_assume_unique_for_key(&iv.0);
    let Ok(opening) = nonce() else { return Answer::Narrower(NONCE) };
    let sealed = [ct.0.as_slice(), &tag.0].concat();
    let mut opened = sealed.clone();
    match key.open_in_place(opening, Aad::from(&aad.0), &mut opened) {
        Ok(message) if message == msg.0 => {}
        _ => return Answer::Refused,
    }
    let mut again = msg.0.clone();
    key.seal_in_place_append_tag(nonce().unwrap(), Aad::from(&aad.0), &mut again).unwrap();
    assert_eq!(again, sealed, "case {}", case.tc_id);
    Answer::Accepted
}

#[test]
fn aes_gcm_is_judged_as_the_authors_judge_it_but_for_nonces_of_other_lengths() {
    let expected = Tally { valid: 116, invalid: 87, narrower: BTreeMap::from([(NONCE, 113)]), ..Tally::default() };
    run("aes_gcm_test.json", "AES-GCM of aws-lc-rs", &expected, answer);
}
