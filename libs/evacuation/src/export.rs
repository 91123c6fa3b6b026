//! A signer's wallet records: all that an evacuation needs to know of a wallet. Nothing in it is secret.

use std::collections::BTreeMap;

use chain::{ChainId, WalletDesc, hex};
use chain_adapters::Adapters;
use custody::{CustodyId, WalletId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize};

use crate::{
    EvacuationError,
    document::{VERSION, pretty, read, same_manifest},
    wallet::{Recorded, wallet},
};

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

    /// The wallets that are on `chain`, each recomputed from the manifest's keys.
    pub fn on(
        &self,
        chain: &ChainId,
        manifest: &VerifiedManifest,
        adapters: &Adapters,
    ) -> Result<Vec<(WalletId, WalletDesc)>, EvacuationError> {
        self.require(manifest)?;
        let there = self.wallets.iter().filter_map(|record| record.on(chain));
        there.map(|it| wallet(manifest, adapters, &it).map(|(_, wallet)| (it.id.clone(), wallet))).collect()
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
        let hot_keys = hot_keys.iter().map(|(namespace, key)| (namespace.clone(), hex::encode_prefixed(key))).collect();
        Self { id, hot_keys, salt: hex::encode_prefixed(salt), addresses }
    }

    /// What it says of `chain`, if it is there.
    pub(crate) fn on<'a>(&'a self, chain: &'a ChainId) -> Option<Recorded<'a>> {
        let address = self.addresses.get(chain)?;
        let hot_key = self.hot_keys.get(chain.namespace()).map(String::as_str).unwrap_or_default();
        Some(Recorded { id: &self.id, chain, hot_key, salt: &self.salt, address })
    }
}
