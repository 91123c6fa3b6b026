//! Reading and writing the documents.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::error::{ManifestError, VERSION, malformed};

/// The version is read first, so that a newer document is called newer and not malformed.
pub(super) fn read<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, ManifestError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let Versioned { version } = parse_json(what, bytes)?;
    if version != u64::from(VERSION) {
        return Err(ManifestError::UnknownVersion { what, version });
    }
    parse_json(what, bytes)
}

pub(super) fn check_version(what: &'static str, version: u32) -> Result<(), ManifestError> {
    if version == VERSION { Ok(()) } else { Err(ManifestError::UnknownVersion { what, version: version.into() }) }
}

pub(super) fn parse_json<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, ManifestError> {
    let text = text_file::unmarked(bytes).map_err(|error| malformed(what, error))?;
    serde_json::from_slice(text).map_err(|error| malformed(what, error))
}

pub(super) fn decode_array<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("these documents have string keys only");
    text.push('\n');
    text
}
