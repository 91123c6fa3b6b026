//! A signer's wallet records: all that an evacuation needs to know of a wallet. Nothing in it is secret.

use std::collections::BTreeMap;

use chain::{ChainId, ChainRules, WalletDesc};
use chain_evm::EvmSafe;
use custody::{CustodyId, WalletId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{EvacuationError, VERSION, hex};

const WHAT: &str = "wallets export";

/// What `keeper wallets export` and `cooler wallets export` print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WalletsExport {
    /// [`VERSION`].
    pub version: u32,
    /// The custody.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload, lower-case hex.
    pub manifest_digest: String,
    /// All wallets.
    pub wallets: Vec<ExportedWallet>,
}

/// One wallet's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedWallet {
    /// App's name for it.
    pub id: WalletId,
    /// Hot public keys by chain namespace, `0x` hex (33-byte SEC1 for `eip155`).
    pub hot_keys: BTreeMap<String, String>,
    /// Salt of the addresses, 32 bytes in `0x` hex.
    pub salt: String,
    /// Addresses by CAIP-2 chain id, display form.
    pub addresses: BTreeMap<ChainId, String>,
}

impl WalletsExport {
    /// A signer's records under its manifest.
    pub fn new(manifest: &VerifiedManifest, wallets: Vec<ExportedWallet>) -> Self {
        Self { version: VERSION, custody_id: manifest.custody_id(), manifest_digest: manifest.digest(), wallets }
    }

    /// Reads the document; what it says of addresses is checked when it is planned with.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvacuationError> {
        read(WHAT, bytes)
    }

    /// For standard output or a file.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    pub(crate) fn require(&self, manifest: &VerifiedManifest) -> Result<(), EvacuationError> {
        same_manifest(WHAT, self.custody_id, &self.manifest_digest, manifest)
    }
}

impl ExportedWallet {
    /// A record from its parts.
    pub fn new(
        id: WalletId,
        hot_keys: &BTreeMap<String, Vec<u8>>,
        salt: [u8; 32],
        addresses: BTreeMap<ChainId, String>,
    ) -> Self {
        let hot_keys = hot_keys.iter().map(|(namespace, key)| (namespace.clone(), hex::encode(key))).collect();
        Self { id, hot_keys, salt: hex::encode(&salt), addresses }
    }
}

/// The wallet of a hot key, a salt and the manifest's cool and cold keys; it must have the address `said`.
pub(crate) fn wallet(
    manifest: &VerifiedManifest,
    id: &WalletId,
    chain: &ChainId,
    hot_key: &str,
    salt: &str,
    said: &str,
) -> Result<(EvmSafe, WalletDesc), EvacuationError> {
    let malformed = |field| EvacuationError::Hex { wallet: id.clone(), field };
    let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
    let hot = hex::decode(hot_key).ok_or_else(|| malformed("the hot key"))?;
    let salt = hex::decode(salt).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| malformed("the salt"))?;
    let rules = EvmSafe::new(chain.clone()).map_err(wrong)?;
    let owners = manifest.owners(chain, &hot).map_err(wrong)?;
    let wallet = rules.wallet(&owners, salt).map_err(wrong)?;
    if wallet.address != said {
        return Err(EvacuationError::OtherAddress {
            wallet: id.clone(),
            chain: chain.clone(),
            computed: wallet.address,
            said: said.to_owned(),
        });
    }
    Ok((rules, wallet))
}

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
    let malformed = |error: serde_json::Error| EvacuationError::Malformed { what, why: error.to_string() };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    if version != u64::from(VERSION) {
        return Err(EvacuationError::UnknownVersion { what, version });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("these documents have string keys only");
    text.push('\n');
    text
}
