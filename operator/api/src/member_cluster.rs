//! MemberCluster: how the hub reaches one data centre, pinned to the very cluster that its admin prepared.

use std::collections::BTreeMap;

use custody::Role;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::KubeconfigRef;

/// One data centre's cluster, as its admin handed it over (`multisig member prepare` prints every value).
#[derive(Debug, Clone, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "multisig.dev",
    version = "v1alpha1",
    kind = "MemberCluster",
    plural = "memberclusters",
    shortname = "member",
    category = "multisig",
    namespaced,
    status = "MemberClusterStatus",
    derive = "PartialEq",
    doc = "A data centre's cluster and the pins by which the hub recognises it.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "DataCenter", type_ = "string", json_path = ".spec.dataCenter"),
    printcolumn(name = "Used-By", type_ = "string", json_path = ".status.claimedBy.name"),
    printcolumn(name = "As", type_ = "string", json_path = ".status.claimedBy.role"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    printcolumn(name = "Expires", type_ = "date", json_path = ".status.credential.expiresAt", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterSpec {
    /// Secret with the kubeconfig of the hub's restricted ServiceAccount on the member.
    pub kubeconfig_secret_ref: KubeconfigRef,
    /// Namespace on the member that the data centre admin prepared. Immutable.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("namespace is immutable: create another MemberCluster"))]
    pub namespace: String,
    /// Name of the data centre. Must equal the name in the data centre's own member trust. Immutable.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("dataCenter is immutable: create another MemberCluster"))]
    pub data_center: String,
    /// What else may fail or be seized together, for example `provider: x`. A key is compared when
    /// `MultisigCluster.spec.separation.distinct` names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "failure_domains")]
    pub failure_domains: BTreeMap<String, String>,
    /// Pin: UID of the member's kube-system namespace, which identifies the cluster for as long as it exists.
    #[serde(rename = "clusterUID")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
    pub cluster_uid: String,
    /// Whether admission policies on the member must hold the hub to the published pod shape.
    #[serde(default)]
    pub guard: Guard,
}

/// Whether a member must be guarded against the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Guard {
    /// Nothing is written to the member unless its guard is proven.
    #[default]
    Required,
    /// For the profile Development only.
    Optional,
}

/// What the operator found on the member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// UID of the kube-system namespace, as last read.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// Version of its API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The credential in the kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,
    /// The MultisigCluster that uses this member. No other may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<ClaimedBy>,
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The hub's credential on a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// When it expires; absent if the credential does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Who uses a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedBy {
    /// Name of the MultisigCluster in the same namespace.
    pub name: String,
    /// Role that the member has there.
    #[schemars(with = "String")]
    pub role: Role,
}

fn failure_domains(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63}
    })
}
