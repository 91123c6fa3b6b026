//! The custody manifest: what the ceremonies fixed for ever, signed at each station. Only public halves are in it.
//!
//! The signed document carries the exact payload bytes (the idea of DSSE), so nobody ever re-encodes what was signed:
//! `{"payload": BASE64(json of [`Manifest`]), "signatures": [{"role", "signature"}]}`.

use std::{collections::BTreeMap, fmt};

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    CustodyId,
    ids::is_evm_address,
    phrase::{Keys, NAMESPACES, PhraseError},
    trust::CustodyTrust,
};
use chain::{ChainError, ChainId, KeyRole, Owners, hex};

/// Version of the payload that this build reads.
pub const VERSION: u32 = 1;

const DOMAIN: &[u8] = b"multisig.manifest.v1\0";
const STATIONS: [KeyRole; 2] = [KeyRole::Cool, KeyRole::Cold];

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

/// The document as it travels: well-formed, but not necessarily signed. Only [`VerifiedManifest`] may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct SignedManifest {
    payload: Vec<u8>,
    manifest: Manifest,
    signatures: BTreeMap<KeyRole, Signature>,
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
    fn identity_key(&self) -> Result<VerifyingKey, ManifestError> {
        decode_array(&self.identity)
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or_else(|| {
                ManifestError::Invalid(format!("the {} identity is not an ed25519 key of 64 hex digits", self.role))
            })
    }

    /// All public keys by namespace.
    fn decoded(&self) -> Result<BTreeMap<String, [u8; 33]>, ManifestError> {
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

/// The version is read first, so that a newer document is called newer and not malformed.
fn read<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, ManifestError> {
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

fn check_version(what: &'static str, version: u32) -> Result<(), ManifestError> {
    if version == VERSION { Ok(()) } else { Err(ManifestError::UnknownVersion { what, version: version.into() }) }
}

fn parse_json<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(what, error))
}

fn decode_array<const N: usize>(hex: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn malformed(what: &'static str, why: impl fmt::Display) -> ManifestError {
    ManifestError::Malformed { what, why: why.to_string() }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, ManifestError> {
    Err(ManifestError::Invalid(why.into()))
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("these documents have string keys only");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phrase::{EIP155, Phrase};

    fn keys(byte: u8) -> Keys {
        Phrase::from_entropy(&[byte; 32]).unwrap().keys()
    }

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            custody_id: "7b0e7b0e7b0e7b0e7b0e7b0e7b0e7b0e".parse().unwrap(),
            revision: 1,
            cool: PublicHalf::from_keys(KeyRole::Cool, &keys(2)).unwrap(),
            cold: PublicHalf::from_keys(KeyRole::Cold, &keys(3)).unwrap(),
            safe_destinations: [("eip155:1".to_owned(), vec![format!("0x{}", "aB".repeat(20))])].into(),
        }
    }

    fn signed() -> SignedManifest {
        let mut signed = SignedManifest::new(manifest()).unwrap();
        signed.sign(KeyRole::Cool, &keys(2)).unwrap();
        signed.sign(KeyRole::Cold, &keys(3)).unwrap();
        signed
    }

    /// The document around any payload, signatures kept.
    fn document(payload: &[u8], signatures: &[(&str, String)]) -> String {
        let signatures: Vec<_> =
            signatures.iter().map(|(role, text)| serde_json::json!({"role": role, "signature": text})).collect();
        serde_json::json!({"payload": BASE64.encode(payload), "signatures": signatures}).to_string()
    }

    fn invalid(change: impl FnOnce(&mut Manifest)) -> String {
        let mut changed = manifest();
        change(&mut changed);
        SignedManifest::new(changed).unwrap_err().to_string()
    }

    #[test]
    fn signed_at_both_stations_it_is_believed_after_travelling() {
        let signed = signed();
        let travelled = SignedManifest::parse(signed.to_json().as_bytes()).unwrap();
        assert_eq!(travelled, signed);
        let verified = travelled.verify().unwrap();
        assert_eq!(verified.manifest(), &manifest());
        assert_eq!(verified.custody_id(), manifest().custody_id);
        assert_eq!(verified.digest(), signed.digest());
        assert_eq!(verified.cool_key(EIP155), Some(keys(2).public_key(EIP155).unwrap().as_slice()));
        assert_eq!(verified.cold_key(EIP155), Some(keys(3).public_key(EIP155).unwrap().as_slice()));
        assert_eq!(verified.cool_key("solana"), None);
        assert_eq!(verified.safe_destinations("eip155:1").len(), 1);
        assert!(verified.safe_destinations("eip155:2").is_empty());
        assert!(verified.is_half(KeyRole::Cool, &keys(2)).unwrap());
        assert!(!verified.is_half(KeyRole::Cool, &keys(3)).unwrap());
    }

    #[test]
    fn half_signed_it_is_refused_and_the_missing_station_is_named() {
        let mut signed = SignedManifest::new(manifest()).unwrap();
        assert_eq!(signed.verify(), Err(ManifestError::NotSigned(KeyRole::Cool)));
        signed.sign(KeyRole::Cool, &keys(2)).unwrap();
        assert_eq!(signed.signers(), Ok(vec![KeyRole::Cool]));
        let error = signed.verify().unwrap_err();
        assert_eq!(error, ManifestError::NotSigned(KeyRole::Cold));
        assert!(error.to_string().contains("ceremony sign"));
    }

    #[test]
    fn a_station_signs_with_its_own_phrase_only() {
        let mut signed = SignedManifest::new(manifest()).unwrap();
        assert_eq!(signed.sign(KeyRole::Cool, &keys(3)), Err(ManifestError::OtherPhrase(KeyRole::Cool)));
        assert_eq!(signed.sign(KeyRole::Cold, &keys(9)), Err(ManifestError::OtherPhrase(KeyRole::Cold)));
        assert_eq!(signed.sign(KeyRole::Hot, &keys(1)), Err(ManifestError::NotAStation(KeyRole::Hot)));
        assert_eq!(signed.signers(), Ok(vec![]));
    }

    #[test]
    fn one_station_can_not_sign_for_the_other() {
        let one = signed();
        let mut swapped = one.clone();
        swapped.signatures.insert(KeyRole::Cold, one.signatures[&KeyRole::Cool]);
        assert_eq!(swapped.verify(), Err(ManifestError::BadSignature(KeyRole::Cold)));
        assert_eq!(swapped.signers(), Err(ManifestError::BadSignature(KeyRole::Cold)));
    }

    #[test]
    fn each_way_of_being_malformed_has_its_own_line() {
        let text = |bytes: &[u8]| SignedManifest::parse(bytes).unwrap_err().to_string();
        let payload = serde_json::to_vec(&manifest()).unwrap();
        let with = |signatures: &[(&str, String)]| text(document(&payload, signatures).as_bytes());
        assert!(text(b"").contains("malformed manifest"));
        assert!(text(b"{}").contains("missing field `payload`"));
        assert!(text(br#"{"payload":"!","signatures":[]}"#).contains("malformed manifest"));
        assert!(text(br#"{"payload":"","signatures":[],"extra":1}"#).contains("unknown field `extra`"));
        assert!(with(&[("cool", "00".repeat(63))]).contains("128 hex digits"));
        assert!(with(&[("cool", "00".repeat(64)), ("cool", "00".repeat(64))]).contains("two signatures by cool"));
        assert!(with(&[("hot", "00".repeat(64))]).contains("not hot"));
        assert!(with(&[("warm", "00".repeat(64))]).contains("unknown variant"));
    }

    #[test]
    fn another_version_is_called_another_version_whatever_else_it_holds() {
        let newer = document(br#"{"version":2,"novelty":true}"#, &[]);
        assert_eq!(
            SignedManifest::parse(newer.as_bytes()),
            Err(ManifestError::UnknownVersion { what: "manifest", version: 2 })
        );
        let half = PublicHalf::parse(br#"{"version":7}"#);
        assert_eq!(half, Err(ManifestError::UnknownVersion { what: "public half", version: 7 }));
    }

    #[test]
    fn only_a_custody_is_a_manifest() {
        assert!(invalid(|m| m.revision = 0).contains("revision"));
        assert!(invalid(|m| m.cold = PublicHalf { role: KeyRole::Cold, ..m.cool.clone() }).contains("same phrase"));
        assert!(invalid(|m| m.cold.keys = m.cool.keys.clone()).contains("same phrase"));
        assert!(invalid(|m| m.cool.role = KeyRole::Cold).contains("says that it is cold"));
        assert!(invalid(|m| m.cool.version = 9).contains("version 9"));
        assert!(invalid(|m| m.cool.identity = "00".repeat(32)).contains("identity"));
        assert!(invalid(|m| m.cool.identity = m.cool.identity.to_uppercase()).contains("identity"));
        assert!(invalid(|m| m.cool.keys.clear()).contains("exactly: eip155"));
        assert!(invalid(|m| drop(m.cool.keys.insert("solana".into(), "0x".into()))).contains("exactly: eip155"));
        assert!(
            invalid(|m| drop(m.cool.keys.insert(EIP155.into(), format!("0x{}", "05".repeat(33))))).contains("SEC1")
        );
    }

    #[test]
    fn safe_destinations_are_addresses_on_chains_with_keys() {
        let with = |chain: &str, addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
            invalid(|m| m.safe_destinations = [(chain.to_owned(), addresses)].into())
        };
        let address = format!("0x{}", "ab".repeat(20));
        assert!(invalid(|m| m.safe_destinations.clear()).contains("no safe destination"));
        assert!(with("eip155:1", &[]).contains("no safe destination on eip155:1"));
        assert!(with("eip155:1", &["0x12"]).contains("40 hex digits"));
        assert!(with("eip155:1", &[&address, &address.to_uppercase().replace("0X", "0x")]).contains("twice"));
        for chain in ["eip155", "eip155:", "eip155:01", "eip155:x", "solana:1"] {
            assert!(with(chain, &[&address]).contains("not a chain id"), "{chain}");
        }
    }

    #[test]
    fn only_the_pinned_manifest_is_used() {
        let verified = signed().verify().unwrap();
        let pin = CustodyTrust { id: verified.custody_id(), manifest_digest: verified.digest() };
        assert_eq!(verified.require(&pin), Ok(()));
        let other = CustodyTrust { manifest_digest: "00".repeat(32), ..pin.clone() };
        assert!(matches!(verified.require(&other), Err(ManifestError::NotPinned { .. })));
        let other = CustodyTrust { id: CustodyId::from_slice(&[0; 16]).unwrap(), ..pin };
        assert!(matches!(verified.require(&other), Err(ManifestError::Invalid(_))));
    }

    #[test]
    fn a_public_half_travels_as_json_and_holds_no_secret() {
        let half = PublicHalf::from_keys(KeyRole::Cool, &keys(2)).unwrap();
        assert_eq!(PublicHalf::parse(half.to_json().as_bytes()), Ok(half.clone()));
        assert!(!half.to_json().contains(&HEXLOWER.encode(keys(2).secret(EIP155).unwrap().as_slice())));
        assert_eq!(PublicHalf::from_keys(KeyRole::Hot, &keys(1)), Err(ManifestError::NotAStation(KeyRole::Hot)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_changed_byte_of_the_payload_is_believed(position: prop::sample::Index, change in 1..=255u8) {
            let signed = signed();
            let mut payload = signed.payload.clone();
            let position = position.index(payload.len());
            payload[position] ^= change;
            let hex = |role| HEXLOWER.encode(&signed.signatures[&role].to_bytes());
            let text = document(&payload, &[("cool", hex(KeyRole::Cool)), ("cold", hex(KeyRole::Cold))]);
            prop_assert!(SignedManifest::parse(text.as_bytes()).and_then(|changed| changed.verify()).is_err());
        }

        #[test]
        fn no_changed_byte_of_a_signature_is_believed(position in 0..64usize, change in 1..=255u8, cold: bool) {
            let mut signed = signed();
            let role = if cold { KeyRole::Cold } else { KeyRole::Cool };
            let mut bytes = signed.signatures[&role].to_bytes();
            bytes[position] ^= change;
            signed.signatures.insert(role, Signature::from_bytes(&bytes));
            let travelled = SignedManifest::parse(signed.to_json().as_bytes()).unwrap();
            prop_assert_eq!(travelled.verify(), Err(ManifestError::BadSignature(role)));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(SignedManifest::parse(&bytes).is_err());
            prop_assert!(PublicHalf::parse(&bytes).is_err());
        }
    }
}
