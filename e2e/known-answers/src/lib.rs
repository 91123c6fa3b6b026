//! Known answers: published test vectors, read from the files under `vectors/` and run through the very libraries and
//! wrappers that the signers use. A test fails when its file is missing, a case is gone or a verdict has changed.

mod wycheproof;

use std::{io::Write, path::Path};

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, de::DeserializeOwned};

pub use wycheproof::{Answer, Case, Group, Tally, Verdict, run};

/// Bytes, hex in the files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// All bytes, of which the file's format promises `N`.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap_or_else(|_| panic!("expected {N} bytes, the file has {}", self.0.len()))
    }
}

impl TryFrom<String> for Hex {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map(Self)
    }
}

/// The file `name` under `vectors/`, as JSON.
///
/// # Panics
/// When the file is missing or of another form.
pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; restore the file", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}; restore the file", path.display()))
}

/// One line about a subject: past the test runner's capture, so that a passing run shows its counts too.
pub fn report(subject: &str, counts: &str) {
    let _ = writeln!(std::io::stderr(), "known answers: {subject}: {counts}");
}
