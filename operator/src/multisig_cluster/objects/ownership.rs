//! Whose an object is, by its labels. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use multisig_api::labels;

/// Whether the operator made an object for this custody.
pub fn is_ours(metadata: &ObjectMeta, custody: &str) -> bool {
    label(metadata, labels::MANAGED_BY) == Some(labels::MANAGER) && label(metadata, labels::CUSTODY) == Some(custody)
}

/// Whether the data centre's admin has delegated a ConfigMap's data to the hub.
pub fn is_delegated(metadata: &ObjectMeta) -> bool {
    label(metadata, labels::DELEGATED) == Some(labels::DELEGATED_HUB)
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}
