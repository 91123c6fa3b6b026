//! What is signed: the public halves, and what the custody is.

use std::collections::BTreeMap;

use chain::{ChainId, KeyRole, hex};
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::{
    error::{ManifestError, VERSION, invalid},
    json::{check_version, decode_array, pretty, read},
};
use crate::{
    CustodyId,
    ids::is_evm_address,
    phrase::{Keys, NAMESPACES},
};

/// Who signs a manifest.
pub(super) const STATIONS: [KeyRole; 2] = [KeyRole::Cool, KeyRole::Cold];

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

impl PublicHalf {
    /// What may leave the room: the public keys under a phrase.
    pub fn from_keys(role: KeyRole, keys: &Keys) -> Result<Self, ManifestError> {
        if !STATIONS.contains(&role) {
            return Err(ManifestError::NotAStation(role));
        }
        let identity = HEXLOWER.encode(keys.identity().verifying_key().as_bytes());
        let mut half = Self { version: VERSION, role, identity, keys: BTreeMap::new() };
        for namespace in NAMESPACES {
            half.keys.insert(namespace.to_owned(), hex::encode_prefixed(keys.public_key(namespace)?));
        }
        Ok(half)
    }

    /// Reads a file that a ceremony wrote, and validates it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let half: Self = read("public half", bytes)?;
        half.validate()?;
        Ok(half)
    }

    /// For a file.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// Every key is there, well-formed and on its curve.
    pub fn validate(&self) -> Result<(), ManifestError> {
        let role = self.role;
        check_version("public half", self.version)?;
        if !STATIONS.contains(&role) {
            return Err(ManifestError::NotAStation(role));
        }
        self.identity_key()?;
        if self.keys.len() != NAMESPACES.len() {
            return invalid(format!("the {role} half must have keys for exactly: {}", NAMESPACES.join(", ")));
        }
        self.decoded().map(drop)
    }

    /// The ed25519 key that signs manifests.
    pub(super) fn identity_key(&self) -> Result<VerifyingKey, ManifestError> {
        decode_array(&self.identity)
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or_else(|| {
                ManifestError::Invalid(format!("the {} identity is not an ed25519 key of 64 hex digits", self.role))
            })
    }

    /// All public keys by namespace.
    pub(super) fn decoded(&self) -> Result<BTreeMap<String, [u8; 33]>, ManifestError> {
        NAMESPACES.into_iter().map(|namespace| Ok((namespace.to_owned(), self.key(namespace)?))).collect()
    }

    /// The public key for a namespace: 33-byte SEC1.
    fn key(&self, namespace: &str) -> Result<[u8; 33], ManifestError> {
        self.keys
            .get(namespace)
            .and_then(|text| decode_array(text.strip_prefix("0x")?))
            .filter(|bytes: &[u8; 33]| k256::PublicKey::from_sec1_bytes(bytes).is_ok())
            .ok_or_else(|| {
                ManifestError::Invalid(format!(
                    "the {} key for {namespace} is missing or not a 33-byte SEC1 key in 0x hex",
                    self.role
                ))
            })
    }
}

impl Manifest {
    /// Whether this could be a custody: right versions and roles, two different owners, sane destinations.
    pub fn validate(&self) -> Result<(), ManifestError> {
        check_version("manifest", self.version)?;
        if self.revision == 0 {
            return invalid("revision starts at 1");
        }
        for (half, role) in [(&self.cool, KeyRole::Cool), (&self.cold, KeyRole::Cold)] {
            half.validate()?;
            if half.role != role {
                return invalid(format!("the {role} half says that it is {}", half.role));
            }
        }
        let same_key =
            NAMESPACES.iter().any(|namespace| self.cool.keys.get(*namespace) == self.cold.keys.get(*namespace));
        if same_key || self.cool.identity == self.cold.identity {
            return invalid("cool and cold are the same phrase; they must be made separately, by different people");
        }
        if self.safe_destinations.is_empty() {
            return invalid("no safe destination; name at least one address per chain");
        }
        self.safe_destinations.iter().try_for_each(|(chain, addresses)| check_destinations(chain, addresses))
    }

    /// The half of a station; hot has none.
    pub fn half(&self, role: KeyRole) -> Result<&PublicHalf, ManifestError> {
        match role {
            KeyRole::Cool => Ok(&self.cool),
            KeyRole::Cold => Ok(&self.cold),
            KeyRole::Hot => Err(ManifestError::NotAStation(role)),
        }
    }
}

/// A chain of a namespace that has keys, and at least one address of that namespace's shape, none twice. Checksums
/// are for the chain's own crate.
fn check_destinations(chain: &str, addresses: &[String]) -> Result<(), ManifestError> {
    let known = chain.parse::<ChainId>().is_ok_and(|id| NAMESPACES.contains(&id.namespace()));
    if !known {
        return invalid(format!("'{chain}' is not a chain id with known keys; expected for example eip155:1"));
    }
    if addresses.is_empty() {
        return invalid(format!("no safe destination on {chain}"));
    }
    let mut seen = std::collections::BTreeSet::new();
    for address in addresses {
        if !is_evm_address(address) {
            return invalid(format!("'{address}' is not an address on {chain}; expected 0x and 40 hex digits"));
        }
        if !seen.insert(address.to_ascii_lowercase()) {
            return invalid(format!("{address} is named twice on {chain}"));
        }
    }
    Ok(())
}
