//! The document that travels from station to station.

use custody::{
    CustodyId,
    manifest::{SignedManifest, VerifiedManifest},
};
use serde::{Deserialize, Serialize};

use crate::{
    EvacuationError, Step,
    document::{VERSION, pretty, read},
};

pub(crate) const WHAT: &str = "evacuation bundle";

/// All steps, with the signatures so far. Without any it is a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// [`VERSION`].
    pub version: u32,
    /// The custody.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload, lower-case hex.
    pub manifest_digest: String,
    /// That manifest, for a broadcaster who has no other. Stations go by their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<SignedManifest>,
    /// In the order in which they are broadcast.
    pub steps: Vec<Step>,
}

impl Bundle {
    pub(crate) fn new(manifest: &VerifiedManifest, steps: Vec<Step>) -> Self {
        let (custody_id, manifest_digest) = (manifest.custody_id(), manifest.digest());
        Self { version: VERSION, custody_id, manifest_digest, manifest: None, steps }
    }

    /// Reads the document; nothing in it is believed before [`Self::verify`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EvacuationError> {
        read(WHAT, bytes)
    }

    /// For a file or standard output.
    pub fn to_json(&self) -> String {
        pretty(self)
    }
}
