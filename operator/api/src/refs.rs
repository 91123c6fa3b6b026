//! References to other objects in the namespace of the object that holds the reference.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Another object by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The key of a Secret that holds a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeconfigRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data; `value`, as Cluster API writes it, when not given.
    #[serde(default = "KubeconfigRef::default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl KubeconfigRef {
    fn default_key() -> String {
        "value".to_owned()
    }
}
