//! HKDF-SHA256 of `aws-lc-rs`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use known_answers::{Answer, Case, Hex, Tally, run};
use serde::Deserialize;

#[derive(Deserialize)]
struct Group {}

#[derive(Deserialize)]
struct Input {
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha256_gives_the_published_keys() {
    let expected = Tally { valid: 83, invalid: 3, ..Tally::default() };
    run("hkdf_sha256_test.json", "HKDF of aws-lc-rs", &expected, |_: &Group, case: &Case<Input>| {
        let Input { ikm, salt, info, size, okm } = &case.input;
        let key = Salt::new(HKDF_SHA256, &salt.0).extract(&ikm.0);
        let mut made = vec![0; *size];
        match key.expand(&[&info.0], Length(*size)).and_then(|key| key.fill(&mut made)) {
            Ok(()) if made == okm.0 => Answer::Accepted,
            _ => Answer::Refused,
        }
    });
}
