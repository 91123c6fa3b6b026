//! What the hub writes for a workload on a member: `<role>-config` and `<role>-credentials`, each a ConfigMap whose
//! placeholder the admin's chart made. Nothing secret is in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CustodyId, Role, identity::Identity, local_policy::Rolling};

/// Key in `<role>-config`: [`MemberConfig`] as JSON.
pub const CONFIG_KEY: &str = "config.json";
/// Key in `<role>-config`: the signed manifest, byte for byte as the ceremonies made it.
pub const MANIFEST_KEY: &str = "manifest.json";
/// Key in `<role>-credentials`: [`Credentials`] as JSON.
pub const CREDENTIALS_KEY: &str = "credentials.json";
/// Name of the ConfigMap with what the hub asks of a workload.
pub fn config_map(role: Role) -> String {
    format!("{role}-config")
}

/// Name of the ConfigMap with the workload's NATS user JWT.
pub fn credentials_map(role: Role) -> String {
    format!("{role}-credentials")
}

/// What the hub asks of a workload. May only tighten what the member trust says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberConfig {
    /// The custody that the hub means; must equal the member trust's.
    pub custody_id: CustodyId,
    /// How to reach the broker.
    pub nats: NatsConfig,
    /// Limits below the local policy.
    #[serde(default)]
    pub policy: HubLimits,
    /// Generation of the Vault key that the hub asks for; the workload rotates its own key until it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key_generation: Option<u64>,
    /// Peers as the hub saw them reported: proposals for the admin, never trusted by the workload.
    #[serde(default)]
    pub proposed_peers: BTreeMap<Role, Identity>,
}

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NatsConfig {
    /// `tls://host:port`, all of them.
    pub urls: Vec<String>,
    /// PEM of the roots accepted for the broker.
    pub ca_bundle: String,
}

/// The hub's limits; the strictest of these and the local policy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubLimits {
    /// Limits by asset.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// One of the hub's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// CAIP-2 chain id.
    pub chain: String,
    /// Symbol, as in the local policy.
    pub asset: String,
    /// Highest amount of one payment, decimal string in the smallest unit.
    pub per_transaction: String,
    /// Highest sum of one wallet's payments in a rolling window; holds beside the local policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<Rolling>,
    /// Highest sum of all wallets' payments in a rolling window; holds beside the local policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Rolling>,
}

/// A workload's NATS credentials: public, since the NKey's seed never leaves the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Rises by one with each newly minted JWT.
    pub generation: u64,
    /// NATS user JWT for the workload's public NKey.
    pub user_jwt: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_writes_the_workload_reads() {
        let config = MemberConfig {
            custody_id: CustodyId::from_slice(&[1; 16]).unwrap(),
            nats: NatsConfig { urls: vec!["tls://nats:4222".into()], ca_bundle: "PEM".into() },
            policy: HubLimits::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<MemberConfig>(&json).unwrap(), config);
        assert!(json.contains("caBundle"), "{json}");
    }

    #[test]
    fn an_unknown_field_is_refused_in_every_document() {
        assert!(serde_json::from_str::<HubLimits>(r#"{"limitz":[]}"#).is_err());
        assert!(serde_json::from_str::<Credentials>(r#"{"generation":1,"userJwt":"x","seed":"S"}"#).is_err());
    }

    #[test]
    fn a_role_has_its_own_config_maps() {
        assert_eq!(
            [config_map(Role::Keeper), credentials_map(Role::Keeper), config_map(Role::Cooler)],
            ["keeper-config", "keeper-credentials", "cooler-config"]
        );
    }
}
