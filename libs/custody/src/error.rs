//! Why a data centre's own documents are refused.

use std::fmt;

use data_encoding::HEXLOWER;

use crate::trust::{CONFIG_MAP, KEY, SHAPE_VERSION};

/// Why a member trust was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrustError {
    /// Not the JSON expected.
    #[error("malformed {KEY} in ConfigMap {CONFIG_MAP}: {0}; write it again with `multisig member prepare`")]
    Malformed(String),
    /// Written for another build.
    #[error(
        "{KEY} has shape version {0}, this build reads {SHAPE_VERSION} only; run this version's `multisig member prepare`"
    )]
    UnknownVersion(u64),
    /// Readable, but contradictory.
    #[error("invalid {KEY}: {0}")]
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
