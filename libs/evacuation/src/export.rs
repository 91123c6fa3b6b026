//! A signer's wallet records: all that an evacuation needs to know of a wallet. Nothing in it is secret.

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, WalletDesc, hex};
use chain_adapters::Adapters;
use custody::{CustodyId, WalletId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize};

use crate::{
    EvacuationError,
    document::{VERSION, pretty, read_up_to, same_manifest},
    wallet::{Recorded, wallet},
};

pub(crate) const WHAT: &str = "wallets export";

/// Version of the exports that signers write; version 1 told nothing of what was signed.
pub const EXPORT_VERSION: u32 = 2;
/// How [`ExportedPayment::contract`] names the chain's own coin.
const NATIVE: &str = "native";

/// What `keeper wallets export` and `cooler wallets export` print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WalletsExport {
    /// [`EXPORT_VERSION`], or 1.
    pub version: u32,
    /// The custody.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload, lower-case hex.
    pub manifest_digest: String,
    /// Up to where the signer's audit chain went; absent in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<AuditHead>,
    /// What the signer's local policy lists: what a plan of ladders moves by default; none in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<ExportedAsset>,
    /// All wallets.
    pub wallets: Vec<ExportedWallet>,
}

/// The end of a signer's audit chain: whoever exports after a freeze shows by it that nothing was signed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditHead {
    /// Records in the chain.
    pub count: u64,
    /// SHA-256 of the last, 64 hex digits.
    pub hash: String,
}

/// An asset of a signer's local policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedAsset {
    /// CAIP-2 chain id.
    pub chain: ChainId,
    /// Unique on its chain.
    pub symbol: String,
    /// The contract's address, or `native`.
    pub contract: String,
}

impl ExportedAsset {
    /// Those on `chain`, contracts as they are written there.
    pub(crate) fn on(listed: &[Self], chain: &ChainId) -> Vec<Asset> {
        let there = listed.iter().filter(|listed| listed.chain == *chain);
        let contract = |listed: &Self| (listed.contract != NATIVE).then(|| listed.contract.clone());
        there.map(|listed| Asset { symbol: listed.symbol.clone(), contract: contract(listed) }).collect()
    }
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
    /// Payments that were signed and whose settlement is not attested; none in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outstanding: Vec<ExportedPayment>,
    /// The highest nonce at which anything was signed, by CAIP-2 chain id; none in version 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub highest: BTreeMap<ChainId, u64>,
}

/// A payment that may still be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportedPayment {
    /// CAIP-2 chain id.
    pub chain: ChainId,
    /// At which nonce.
    pub nonce: u64,
    /// Symbol in the signer's local policy.
    pub asset: String,
    /// The asset's contract, or `native`; absent where the local policy no longer lists the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// In the smallest unit.
    pub amount: Amount,
    /// Where it goes, display form; absent where the signer does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl ExportedPayment {
    /// Whether a payment of `asset`, whose contract is `said`, pays out this one: by the contract, or by the symbol where it names none.
    pub(crate) fn names(asset: &str, said: Option<&str>, Asset { symbol, contract }: &Asset) -> bool {
        match (said, contract) {
            (None, _) => asset == symbol,
            (Some(said), None) => said == NATIVE,
            (Some(said), Some(contract)) => said.eq_ignore_ascii_case(contract),
        }
    }
}

impl WalletsExport {
    /// Records under their manifest, in version 1: nothing is told of what was signed.
    pub fn new(manifest: &VerifiedManifest, wallets: Vec<ExportedWallet>) -> Self {
        Self {
            version: VERSION,
            custody_id: manifest.custody_id(),
            manifest_digest: manifest.digest(),
            audit_head: None,
            assets: Vec::new(),
            wallets,
        }
    }

    /// Reads the document; what it says of addresses is checked when it is planned with.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvacuationError> {
        read_up_to(EXPORT_VERSION, WHAT, bytes)
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

    /// The assets of the signer's local policy on `chain`, contracts as they are written there.
    pub fn assets_on(&self, chain: &ChainId) -> Vec<Asset> {
        ExportedAsset::on(&self.assets, chain)
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
        let salt = hex::encode_prefixed(salt);
        Self { id, hot_keys, salt, addresses, outstanding: Vec::new(), highest: BTreeMap::new() }
    }

    /// The hot key of a chain's family; empty where it is none, which no wallet has.
    pub(crate) fn hot_key(&self, chain: &ChainId) -> Vec<u8> {
        self.hot_keys.get(chain.namespace()).and_then(|key| hex::decode_prefixed(key)).unwrap_or_default()
    }

    /// The salt; zeros where it is none, which no wallet passes whose address was computed from it.
    pub(crate) fn salt_bytes(&self) -> [u8; 32] {
        hex::decode_prefixed(&self.salt).and_then(|salt| salt.try_into().ok()).unwrap_or_default()
    }

    /// What it says of `chain`, if it is there.
    pub(crate) fn on<'a>(&'a self, chain: &'a ChainId) -> Option<Recorded<'a>> {
        let address = self.addresses.get(chain)?;
        let hot_key = self.hot_keys.get(chain.namespace()).map(String::as_str).unwrap_or_default();
        Some(Recorded { id: &self.id, chain, hot_key, salt: &self.salt, address })
    }
}
