//! What all documents of an evacuation share: a version, a manifest, strict reading.

use custody::{CustodyId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::EvacuationError;

/// Version of the documents that this build reads and writes.
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

/// The version is read first, so that a newer document is called newer and not malformed.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, EvacuationError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let wrong = |error: text_file::Encoding| EvacuationError::Malformed { what, why: error.to_string() };
    let bytes = text_file::unmarked(bytes).map_err(wrong)?;
    let malformed = |error: serde_json::Error| EvacuationError::Malformed { what, why: error.to_string() };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    if version != u64::from(VERSION) {
        return Err(EvacuationError::UnknownVersion { what, version, read: VERSION });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("these documents have string keys only");
    text.push('\n');
    text
}
