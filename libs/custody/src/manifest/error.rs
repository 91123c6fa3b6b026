//! Why a public half or a manifest is refused.

use std::fmt;

use chain::KeyRole;

use crate::phrase::PhraseError;

/// Version of the payload that this build reads.
pub const VERSION: u32 = 1;

/// Why a public half or a manifest was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Not the JSON expected.
    #[error("malformed {what}: {why}; get it again from the station that made it")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// Of the parser.
        why: String,
    },
    /// Made by another version of the tools.
    #[error("{what} has version {version}, this build reads version {VERSION} only; use the tools that made it")]
    UnknownVersion {
        /// Which document.
        what: &'static str,
        /// What it says.
        version: u64,
    },
    /// Readable, but not a custody.
    #[error("invalid manifest: {0}")]
    Invalid(String),
    /// A station has not signed yet.
    #[error(
        "the manifest is not signed by {0}; run `multisig-paper ceremony sign MANIFEST --role {0}` at that station"
    )]
    NotSigned(KeyRole),
    /// A signature does not fit the payload.
    #[error("the {0} signature does not fit this manifest: it was changed after signing; do not use it")]
    BadSignature(KeyRole),
    /// The phrase typed in is another one.
    #[error("this is not the {0} phrase of this manifest; check that it is the right paper")]
    OtherPhrase(KeyRole),
    /// Hot keys are not in a manifest.
    #[error("a manifest has a cool and a cold half only, not {0}")]
    NotAStation(KeyRole),
    /// A manifest that is genuine, but not the one pinned by the data centre's admin.
    #[error("the manifest's digest is {found}, the member trust pins {pinned}; deliver the manifest that was approved")]
    NotPinned {
        /// Digest of this manifest.
        found: String,
        /// Digest in the member trust.
        pinned: String,
    },
    /// A key can't be derived.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
}

pub(super) fn malformed(what: &'static str, why: impl fmt::Display) -> ManifestError {
    ManifestError::Malformed { what, why: why.to_string() }
}

pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T, ManifestError> {
    Err(ManifestError::Invalid(why.into()))
}
