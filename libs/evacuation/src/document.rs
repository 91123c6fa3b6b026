//! What all documents of an evacuation share: a version, a manifest, strict reading.

use custody::{CustodyId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::EvacuationError;

/// Version of a bundle, and of a plan that is one.
pub const VERSION: u32 = 1;

pub(crate) fn same_manifest(
    what: &'static str,
    custody: CustodyId,
    digest: &str,
    manifest: &VerifiedManifest,
) -> Result<(), EvacuationError> {
    if custody == manifest.custody_id() && digest == manifest.digest() {
        return Ok(());
    }
    Err(EvacuationError::OtherManifest { what, custody: custody.to_string(), digest: digest.to_owned() })
}

/// Of [`VERSION`].
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, EvacuationError> {
    read_up_to(VERSION, what, bytes)
}

/// Of any version up to `newest`. The version is read first, so that a newer document is called newer and not malformed.
pub(crate) fn read_up_to<T: DeserializeOwned>(
    newest: u32,
    what: &'static str,
    bytes: &[u8],
) -> Result<T, EvacuationError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let wrong = |error: text_file::Encoding| EvacuationError::Malformed { what, why: error.to_string() };
    let bytes = text_file::unmarked(bytes).map_err(wrong)?;
    let malformed = |error: serde_json::Error| EvacuationError::Malformed { what, why: error.to_string() };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    if !(1..=u64::from(newest)).contains(&version) {
        return Err(EvacuationError::UnknownVersion { what, version, read: newest });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("these documents have string keys only");
    text.push('\n');
    text
}
