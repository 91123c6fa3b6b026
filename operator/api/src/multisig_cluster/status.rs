//! What the operator found and did.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// What the operator found and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultisigClusterStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Keeper, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<PlaceStatus>,
    /// Cooler, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooler: Option<PlaceStatus>,
    /// App's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppStatus>,
    /// The NATS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsStatus>,
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

impl MultisigClusterStatus {
    /// What was last seen of a place.
    pub fn place(&self, place: Place) -> Option<&PlaceStatus> {
        match place {
            Place::Keeper => self.keeper.as_ref(),
            Place::Cooler => self.cooler.as_ref(),
            // The definition has no field for it while no version runs one.
            Place::Sentinel => None,
        }
    }

    /// Notes what was seen of a place now.
    pub fn set_place(&mut self, place: Place, seen: PlaceStatus) {
        match place {
            Place::Keeper => self.keeper = Some(seen),
            Place::Cooler => self.cooler = Some(seen),
            Place::Sentinel => {}
        }
    }
}

/// A place, as last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceStatus {
    /// kube-system UID of the member, once it has been verified against the pin and the member trust.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// The member's data centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_center: Option<String>,
    /// Image of the StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Public keys that it reported with proof of possession.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityStatus>,
    /// Generation of its NATS credentials; rises only when its key or the account changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_generation: Option<i64>,
    /// SHA-256 of the policy that it applies, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
    /// State that it reported: `Serving`, or what it is waiting for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
    /// Message that it reported: what is missing and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Newest version of its Vault key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key_version: Option<i64>,
    /// Number of its secrets that are still sealed with an older version; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrap_left: Option<i64>,
}

/// Public keys of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// NATS user public NKey.
    pub nats_user: String,
    /// ed25519 message key, 64 hex digits.
    pub message_key: String,
    /// X25519 sealing key, a NATS XKey.
    pub xkey: String,
    /// Fingerprint that the admins compare out of band. Shown for convenience: the hub's word on it proves nothing.
    pub fingerprint: String,
}

/// App's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Public NKey for which they were minted.
    pub nats_user: String,
    /// Their generation.
    pub credential_generation: i64,
    /// ConfigMap that contains them (key `credentials.json`).
    pub credentials_config_map: String,
}

/// The NATS account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsStatus {
    /// Its public key, `A...`.
    pub account: String,
}
