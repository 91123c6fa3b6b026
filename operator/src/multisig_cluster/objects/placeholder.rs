//! Placeholder ConfigMaps: the admin makes them, the hub fills their data. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Serialize;

/// The data of a placeholder, and nothing else of it.
pub fn placeholder<const N: usize>(name: String, namespace: &str, data: [(&str, String); N]) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from(data.map(|(key, value)| (key.to_owned(), value)))),
        ..ConfigMap::default()
    }
}

/// A document as text.
pub fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("these documents have string keys only")
}
