//! The trust bundle: what a data centre's admin has decided, in ConfigMap `multisig-trust`. The hub may read it and
//! can never write it; a workload believes nothing else about Vault, peers, floors or images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CustodyId, Role};

/// Name of the ConfigMap in the member's namespace.
pub const CONFIG_MAP: &str = "multisig-trust";
/// Key in that ConfigMap's data; the value is [`TrustBundle`] as JSON.
pub const KEY: &str = "trust.json";
/// The shape of this document, of StatefulSets and of guard policies that this build speaks.
pub const SHAPE_VERSION: u32 = 1;
/// Keys accepted per peer: the present one and, while it is being rotated, the next.
pub const MAX_KEYS_PER_PEER: usize = 2;

/// How strictly the installation is held to the design. Both sides and the hub must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Guard, floor and observer are required.
    Production,
    /// For trying it out: guard optional, no observer needed.
    Development,
}

/// Everything the data centre's admin decides. Written by `multisig member prepare` and `member approve` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustBundle {
    /// [`SHAPE_VERSION`] of the writer.
    pub shape_version: u32,
    /// Must equal the profile of the MultisigCluster.
    pub profile: Profile,
    /// The signer that lives here: keeper or cooler.
    pub role: Role,
    /// Must equal `MemberCluster.spec.dataCenter`.
    pub data_center: String,
    /// This data centre's own Vault. The only part that a workload needs to start.
    pub vault: VaultTrust,
    /// The custody served here; absent until the ceremonies are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody: Option<CustodyTrust>,
    /// Approved keys per peer role, at most [`MAX_KEYS_PER_PEER`] each.
    #[serde(default)]
    pub peers: BTreeMap<Role, Vec<PeerKeys>>,
    /// The policy floor; absent means: refuse every payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// Image digests (`sha256:...`) that may run here.
    #[serde(default)]
    pub images: Vec<String>,
}

/// Where the Vault is and how to log in with a projected service-account token (Vault JWT auth).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultTrust {
    /// `https://host:port`.
    pub address: String,
    /// PEM of the only roots accepted for that address.
    pub ca_bundle: String,
    /// Path of the JWT auth mount, one per member cluster.
    pub auth_mount: String,
    /// Role at that mount.
    pub role: String,
    /// Audience of the projected token.
    pub audience: String,
    /// Path of the Transit mount.
    pub transit_mount: String,
    /// Transit key: `<namespace>.<serviceaccount>`.
    pub key: String,
}

/// Which custody, pinned to the exact manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustodyTrust {
    /// The custody's identity.
    pub id: CustodyId,
    /// SHA-256 of the signed manifest's payload bytes, lower-case hex ([`crate::manifest::SignedManifest::digest`]).
    pub manifest_digest: String,
}

/// A peer's approved public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerKeys {
    /// ed25519 key that signs its messages (RFC 8032), 64 hex digits.
    pub message_key: String,
    /// X25519 key that its messages are sealed to: a NATS XKey, `X...`.
    pub xkey: String,
}

/// What no hub and no App can exceed. Amounts are in the asset's smallest unit (wei), decimal strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floor {
    /// Every asset that may move, with its limits. An asset that is not here never moves.
    pub assets: Vec<AssetFloor>,
}

/// One asset and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssetFloor {
    /// CAIP-2 chain id, for example `eip155:1`.
    pub chain: String,
    /// Symbol that people and the hub's policy use, unique per chain.
    pub symbol: String,
    /// `native`, or the contract's address (0x hex).
    pub asset: String,
    /// Decimals of the smallest unit, for people.
    pub decimals: u8,
    /// Highest amount of one payment, decimal string in the smallest unit.
    pub per_transaction: String,
}
