//! The document that travels from station to station.

use std::collections::BTreeMap;

use chain::{Amount, ChainId, KeyRole};
use custody::{CustodyId, WalletId, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize};

use crate::{
    EvacuationError, VERSION, VerifiedBundle,
    export::{pretty, read, same_manifest},
    verify,
};

const WHAT: &str = "evacuation bundle";

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
    /// In the order in which they are broadcast.
    pub steps: Vec<Step>,
}

/// One transaction: one asset of one wallet, all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// App's name for the wallet.
    pub wallet: WalletId,
    /// CAIP-2 chain id.
    pub chain: ChainId,
    /// The wallet's address, display form.
    pub address: String,
    /// Hot public key, `0x` hex (33-byte SEC1 for `eip155`): with the manifest it gives the address.
    pub hot_key: String,
    /// Salt of the address, 32 bytes in `0x` hex.
    pub salt: String,
    /// Whether the wallet had no code when this was planned: it is deployed before its first step.
    pub deploy: bool,
    /// The asset's symbol, for people.
    pub asset: String,
    /// The asset's contract, display form; absent for the chain's native coin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Amount in the smallest unit.
    pub amount: Amount,
    /// One of the manifest's safe destinations, display form.
    pub destination: String,
    /// The wallet's nonce that this step uses up.
    pub nonce: u64,
    /// The bytes to be signed over: the unsigned transaction in the chain's encoding, `0x` hex.
    pub unsigned: String,
    /// Signatures of cool and cold, `0x` hex (65 bytes r, s, v for `eip155`).
    #[serde(default)]
    pub signatures: BTreeMap<KeyRole, String>,
}

impl Bundle {
    pub(crate) fn new(manifest: &VerifiedManifest, steps: Vec<Step>) -> Self {
        Self { version: VERSION, custody_id: manifest.custody_id(), manifest_digest: manifest.digest(), steps }
    }

    /// Reads the document; nothing in it is believed before [`Self::verify`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EvacuationError> {
        read(WHAT, bytes)
    }

    /// For a file or standard output.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// Recomputes every step from the manifest and its bytes, and checks the signatures that are there.
    pub fn verify(self, manifest: &VerifiedManifest) -> Result<VerifiedBundle, EvacuationError> {
        same_manifest(WHAT, self.custody_id, &self.manifest_digest, manifest)?;
        verify::bundle(self, manifest)
    }
}
