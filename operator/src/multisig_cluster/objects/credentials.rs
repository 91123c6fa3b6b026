//! ConfigMap `<role>-credentials`: the NATS user JWT of a workload. Pure.

use custody::config::{CREDENTIALS_KEY, Credentials, credentials_map};
use k8s_openapi::api::core::v1::ConfigMap;
use multisig_api::place::Place;

use super::placeholder::{json, placeholder};

/// With what was minted for the workload.
pub fn credentials(place: Place, namespace: &str, minted: &Credentials) -> ConfigMap {
    placeholder(credentials_map(place.role()), namespace, [(CREDENTIALS_KEY, json(minted))])
}
