//! ConfigMap `<role>-config`: what the hub tells a workload. Pure.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{CONFIG_KEY, MANIFEST_KEY, MemberConfig, config_map},
    identity::Identity,
};
use k8s_openapi::api::core::v1::ConfigMap;
use multisig_api::place::Place;

use super::placeholder::{json, placeholder};
use crate::document::text;

/// With what a workload is told, and the manifest byte for byte.
pub fn config(place: Place, namespace: &str, told: &MemberConfig, manifest: &str) -> ConfigMap {
    let data = [(CONFIG_KEY, json(told)), (MANIFEST_KEY, manifest.to_owned())];
    placeholder(config_map(place.role()), namespace, data)
}

/// The peers that were proposed the last time.
pub fn proposed_before(live: &ConfigMap) -> BTreeMap<Role, Identity> {
    let config = text(Some(live), CONFIG_KEY).and_then(|text| serde_json::from_str::<MemberConfig>(text).ok());
    config.map(|config| config.proposed_peers).unwrap_or_default()
}
