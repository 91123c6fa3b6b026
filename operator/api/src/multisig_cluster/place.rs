//! What runs at a place: a signer, or the sentinel.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::NameRef;

/// A signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerSpec {
    /// The MemberCluster where it runs.
    pub member_ref: NameRef,
    /// Image by digest.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^@ ]+@sha256:[0-9a-f]{64}$')")
            .message("the image must be named by digest: registry/name@sha256:... (64 hex digits)")
    )]
    pub image: String,
    /// Where it keeps its records. The volume and its size belong to the member chart.
    #[serde(default)]
    pub store: StoreSpec,
    /// CPU and memory. By default 100m and 64Mi are requested and memory is limited to 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// Version that its Vault key should have. The signer rotates its own key one version at a time and rewraps what it
    /// has sealed. If absent, nothing is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub vault_key_generation: Option<i64>,
}

/// Where a signer keeps its records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreSpec {
    /// Kind of store.
    #[serde(default, rename = "type")]
    pub type_: StoreType,
}

/// Kind of store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreType {
    /// One file on the signer's own volume; one writer.
    #[default]
    SQLite,
}

/// CPU and memory of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// What is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceAmounts>,
    /// What is never exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceAmounts>,
}

/// Amounts, as Kubernetes quantities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAmounts {
    /// Cores or millicores: `1`, `250m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*m?$"))]
    pub cpu: Option<String>,
    /// Bytes: `64Mi`, `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*(Ki|Mi|Gi)?$"))]
    pub memory: Option<String>,
}

/// The sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentinelSpec {
    /// The MemberCluster where it runs, other than those of keeper and cooler.
    pub member_ref: NameRef,
    /// Image by digest.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^@ ]+@sha256:[0-9a-f]{64}$')")
            .message("the image must be named by digest: registry/name@sha256:... (64 hex digits)")
    )]
    pub image: String,
}
