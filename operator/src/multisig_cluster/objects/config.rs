//! ConfigMap `<role>-config`: what the hub tells a workload. Pure.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{CONFIG_KEY, MANIFEST_KEY, MemberConfig, config_map},
    identity::Identity,
};
use k8s_openapi::api::core::v1::ConfigMap;
use multisig_api::place::Place;

use super::{
    super::validate::{ValidMember, Wiring},
    placeholder::{json, placeholder},
};
use crate::document::text;

/// The data of `live` as they should be. `peers` are the other places and their identities; one that can't be seen now
/// stays proposed as it was before.
pub fn config(
    wiring: &Wiring,
    member: &ValidMember<'_>,
    place: Place,
    peers: Vec<(Role, Option<&Identity>)>,
    live: &ConfigMap,
) -> ConfigMap {
    let mut before = proposed_before(live);
    let proposed = |(role, seen): (Role, Option<&Identity>)| Some((role, seen.cloned().or(before.remove(&role))?));
    let config = MemberConfig {
        custody_id: wiring.custody,
        nats: wiring.nats.clone(),
        policy: wiring.policy.clone(),
        vault_key_generation: member.vault_key_generation,
        proposed_peers: peers.into_iter().filter_map(proposed).collect(),
    };
    let data = [(CONFIG_KEY, json(&config)), (MANIFEST_KEY, wiring.manifest.clone())];
    placeholder(config_map(place.role()), &member.spec.namespace, data)
}

fn proposed_before(live: &ConfigMap) -> BTreeMap<Role, Identity> {
    let config = text(Some(live), CONFIG_KEY).and_then(|text| serde_json::from_str::<MemberConfig>(text).ok());
    config.map(|config| config.proposed_peers).unwrap_or_default()
}
