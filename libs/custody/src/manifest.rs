//! The custody manifest: what the ceremonies fixed for ever, signed at each station. Only public halves are in it.
//!
//! The signed document carries the exact payload bytes (the idea of DSSE), so nobody ever re-encodes what was signed:
//! `{"payload": BASE64(json of [`Manifest`]), "signatures": [{"role", "signature"}]}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CustodyId, KeyRole};

/// Version of the payload that this build reads.
pub const VERSION: u32 = 1;

/// The public half that a ceremony writes: what leaves the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicHalf {
    /// [`VERSION`].
    pub version: u32,
    /// Cool or cold.
    pub role: KeyRole,
    /// ed25519 key derived from the phrase (SLIP-0010), signs manifests; 64 hex digits.
    pub identity: String,
    /// Public key by chain namespace (CAIP-2, `eip155`): 33-byte SEC1, `0x` hex.
    pub keys: BTreeMap<String, String>,
}

/// What the signatures cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Identity of the custody.
    pub custody_id: CustodyId,
    /// Rises by one with each new manifest of this custody; the first is 1.
    pub revision: u32,
    /// The cool key's public half.
    pub cool: PublicHalf,
    /// The cold key's public half.
    pub cold: PublicHalf,
    /// Where an evacuation, or a cancel, may send money: addresses by CAIP-2 chain id (`eip155:1`), at least one each.
    pub safe_destinations: BTreeMap<String, Vec<String>>,
}

/// One station's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StationSignature {
    /// Cool or cold.
    pub role: KeyRole,
    /// ed25519 over `"multisig.manifest.v1" || 0x00 || payload`, 128 hex digits.
    pub signature: String,
}

/// The document as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedManifest {
    /// Standard base64 of the payload's exact bytes.
    pub payload: String,
    /// At most one per role.
    pub signatures: Vec<StationSignature>,
}
