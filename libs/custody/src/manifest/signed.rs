//! The document around the payload, with the stations' signatures, and what it is once they are verified.

use std::collections::BTreeMap;

use chain::{ChainError, ChainId, KeyRole, Owners};
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::{ManifestError, invalid, malformed},
    json::{decode_array, parse_json, pretty, read},
    payload::{Manifest, PublicHalf, STATIONS},
};
use crate::{CustodyId, phrase::Keys, trust::CustodyTrust};

const DOMAIN: &[u8] = b"multisig.manifest.v1\0";

/// One station's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StationSignature {
    /// Cool or cold.
    pub role: KeyRole,
    /// ed25519 over `"multisig.manifest.v1" || 0x00 || payload`, 128 hex digits.
    pub signature: String,
}

/// The document as it travels: well-formed, but not necessarily signed. Only [`VerifiedManifest`] may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct SignedManifest {
    pub(super) payload: Vec<u8>,
    pub(super) manifest: Manifest,
    pub(super) signatures: BTreeMap<KeyRole, Signature>,
}

/// [`SignedManifest`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    /// Standard base64 of the payload's exact bytes.
    payload: String,
    /// At most one per role.
    signatures: Vec<StationSignature>,
}

impl SignedManifest {
    /// A document that nobody has signed yet.
    pub fn new(manifest: Manifest) -> Result<Self, ManifestError> {
        manifest.validate()?;
        let payload = serde_json::to_vec(&manifest).expect("a manifest has string keys only");
        Ok(Self { payload, manifest, signatures: BTreeMap::new() })
    }

    /// Reads the document; signatures are checked by [`Self::verify`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        parse_json::<Document>("manifest", bytes)?.try_into()
    }

    /// The document as JSON, for a file or a ConfigMap.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// What the payload says, believed by nobody yet: to be shown before signing.
    pub fn unverified(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the payload's bytes, lower-case hex: what each data centre's admin pins.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&self.digest_bytes())
    }

    /// SHA-256 of the payload's bytes.
    pub fn digest_bytes(&self) -> [u8; 32] {
        Sha256::digest(&self.payload).into()
    }

    /// Stations whose signature is there and right.
    pub fn signers(&self) -> Result<Vec<KeyRole>, ManifestError> {
        self.signatures.keys().map(|role| self.check(*role).map(|()| *role)).collect()
    }

    /// Adds a station's signature; refuses a phrase that is not that station's.
    pub fn sign(&mut self, role: KeyRole, keys: &Keys) -> Result<(), ManifestError> {
        if PublicHalf::from_keys(role, keys)? != *self.manifest.half(role)? {
            return Err(ManifestError::OtherPhrase(role));
        }
        self.signatures.insert(role, keys.identity().sign(&self.message()));
        Ok(())
    }

    /// Both signatures are there and right (strict verification, RFC 8032).
    pub fn verify(&self) -> Result<VerifiedManifest, ManifestError> {
        STATIONS.into_iter().try_for_each(|role| self.check(role))?;
        Ok(VerifiedManifest {
            cool: self.manifest.cool.decoded()?,
            cold: self.manifest.cold.decoded()?,
            digest: self.digest_bytes(),
            manifest: self.manifest.clone(),
        })
    }

    fn check(&self, role: KeyRole) -> Result<(), ManifestError> {
        let signature = self.signatures.get(&role).ok_or(ManifestError::NotSigned(role))?;
        let key = self.manifest.half(role)?.identity_key()?;
        key.verify_strict(&self.message(), signature).map_err(|_| ManifestError::BadSignature(role))
    }

    fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.payload].concat()
    }
}

impl TryFrom<Document> for SignedManifest {
    type Error = ManifestError;

    fn try_from(document: Document) -> Result<Self, ManifestError> {
        let payload = BASE64.decode(document.payload.as_bytes()).map_err(|error| malformed("manifest", error))?;
        let manifest: Manifest = read("manifest", &payload)?;
        manifest.validate()?;
        let mut signatures = BTreeMap::new();
        for StationSignature { role, signature } in document.signatures {
            manifest.half(role)?;
            let bytes = decode_array(&signature)
                .ok_or_else(|| malformed("manifest", format!("the {role} signature is not 128 hex digits")))?;
            if signatures.insert(role, Signature::from_bytes(&bytes)).is_some() {
                return Err(malformed("manifest", format!("two signatures by {role}")));
            }
        }
        Ok(Self { payload, manifest, signatures })
    }
}

impl From<SignedManifest> for Document {
    fn from(signed: SignedManifest) -> Self {
        let signature = |(role, signature): (KeyRole, Signature)| StationSignature {
            role,
            signature: HEXLOWER.encode(&signature.to_bytes()),
        };
        Self {
            payload: BASE64.encode(&signed.payload),
            signatures: signed.signatures.into_iter().map(signature).collect(),
        }
    }
}

/// A manifest that both stations have signed. There is no other way to make one than [`SignedManifest::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedManifest {
    manifest: Manifest,
    digest: [u8; 32],
    cool: BTreeMap<String, [u8; 33]>,
    cold: BTreeMap<String, [u8; 33]>,
}

impl VerifiedManifest {
    /// Refuses any manifest but the one that the data centre's admin pinned.
    pub fn require(&self, pin: &CustodyTrust) -> Result<(), ManifestError> {
        if self.digest() != pin.manifest_digest {
            return Err(ManifestError::NotPinned { found: self.digest(), pinned: pin.manifest_digest.clone() });
        }
        if self.manifest.custody_id != pin.id {
            return invalid(format!(
                "it is for custody {}, but the member trust names {}",
                self.manifest.custody_id, pin.id
            ));
        }
        Ok(())
    }

    /// What was signed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Identity of the custody.
    pub fn custody_id(&self) -> CustodyId {
        self.manifest.custody_id
    }

    /// SHA-256 of the payload, lower-case hex.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }

    /// SHA-256 of the payload.
    pub fn digest_bytes(&self) -> [u8; 32] {
        self.digest
    }

    /// The cool public key for a namespace (33-byte SEC1 for `eip155`).
    pub fn cool_key(&self, namespace: &str) -> Option<&[u8]> {
        self.cool.get(namespace).map(|key| key.as_slice())
    }

    /// The cold public key for a namespace (33-byte SEC1 for `eip155`).
    pub fn cold_key(&self, namespace: &str) -> Option<&[u8]> {
        self.cold.get(namespace).map(|key| key.as_slice())
    }

    /// The owners of a wallet: a user's hot key with the cool and cold keys that the manifest fixes for the chain's
    /// namespace.
    pub fn owners(&self, chain: &ChainId, hot: &[u8]) -> Result<Owners, ChainError> {
        let namespace = chain.namespace();
        let missing = |role| ChainError::NoKey { role, namespace: namespace.to_owned() };
        Ok(Owners {
            hot: hot.to_vec(),
            cool: self.cool_key(namespace).ok_or_else(|| missing(KeyRole::Cool))?.to_vec(),
            cold: self.cold_key(namespace).ok_or_else(|| missing(KeyRole::Cold))?.to_vec(),
        })
    }

    /// Safe destinations on a chain (CAIP-2 id); empty where the custody has none.
    pub fn safe_destinations(&self, chain: &str) -> &[String] {
        self.manifest.safe_destinations.get(chain).map_or(&[], Vec::as_slice)
    }

    /// Whether these keys are the phrase of a half of this manifest.
    pub fn is_half(&self, role: KeyRole, keys: &Keys) -> Result<bool, ManifestError> {
        Ok(PublicHalf::from_keys(role, keys)? == *self.manifest.half(role)?)
    }
}
