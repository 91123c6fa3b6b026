//! The test vectors in `libs/protocol/vectors/`, from which an implementation in another language is checked. Each file
//! is compared with what this code makes, and then used: everything in it that is good is made and opened by the
//! library, everything else refused with the reason it says.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod attestations;
mod envelopes;
mod keys;
mod payloads;
mod rejections;

use std::{env, fs, path::PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Set to write the files anew.
const WRITE: &str = "MULTISIG_WRITE_VECTORS";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

fn bytes(hex: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn the_files_are_what_this_version_makes() {
    let files = [
        ("keys.json", keys::make()),
        ("envelopes.json", envelopes::make()),
        ("rejections.json", rejections::make()),
        ("payloads.json", payloads::make()),
        ("attestations.json", attestations::make()),
    ];
    for (name, value) in files {
        let made = serde_json::to_string_pretty(&value).unwrap() + "\n";
        if env::var_os(WRITE).is_some() {
            fs::write(path(name), &made).unwrap();
        }
        assert!(
            fs::read_to_string(path(name)).unwrap_or_default() == made,
            "vectors/{name} is not what this version makes: other implementations would not understand it. If the format \
             is meant to change, write it anew with {WRITE}=1 and say so in docs/protocol.md"
        );
    }
}
