//! Why a data centre's own documents are refused.

use std::fmt;

use data_encoding::HEXLOWER;

/// Why a member trust was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrustError {
    /// Not the JSON expected.
    #[error("malformed trust.json in ConfigMap multisig-trust: {0}; write it again with `multisig member prepare`")]
    Malformed(String),
    /// Written for another build.
    #[error(
        "trust.json has shape version {found}, this build reads {reads} only; run this version's `multisig member prepare`"
    )]
    UnknownVersion {
        /// The document's.
        found: u64,
        /// This build's.
        reads: u32,
    },
    /// Readable, but contradictory.
    #[error("invalid trust.json: {0}")]
    Invalid(String),
}

pub(crate) fn check_digest(field: &str, hex: &str) -> Result<(), TrustError> {
    match HEXLOWER.decode(hex.as_bytes()) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => invalid(format!("{field}: '{hex}' is not a SHA-256 digest of 64 lower-case hex digits")),
    }
}

pub(crate) fn invalid<T>(why: impl fmt::Display) -> Result<T, TrustError> {
    Err(TrustError::Invalid(why.to_string()))
}
