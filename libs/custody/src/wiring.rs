//! The documents that hub and workload exchange on a member, each in a ConfigMap whose shell the admin's chart made:
//! `<role>-config` and `<role>-credentials` (filled by the hub, read by the workload) and `<role>-report` (filled by
//! the workload, read by the hub). Nothing secret is in any of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    CustodyId, Role,
    trust::{PeerKeys, Rolling},
};

/// Key in `<role>-config`: [`MemberConfig`] as JSON.
pub const CONFIG_KEY: &str = "config.json";
/// Key in `<role>-config`: the signed manifest, byte for byte as the ceremonies made it.
pub const MANIFEST_KEY: &str = "manifest.json";
/// Key in `<role>-credentials`: [`Credentials`] as JSON.
pub const CREDENTIALS_KEY: &str = "credentials.json";
/// Key in `<role>-report`: [`Report`] as JSON.
pub const REPORT_KEY: &str = "report.json";

/// Name of the ConfigMap with what the hub asks of a workload.
pub fn config_map(role: Role) -> String {
    format!("{role}-config")
}

/// Name of the ConfigMap with the workload's NATS user JWT.
pub fn credentials_map(role: Role) -> String {
    format!("{role}-credentials")
}

/// Name of the ConfigMap in which the workload reports.
pub fn report_map(role: Role) -> String {
    format!("{role}-report")
}

/// What the hub asks of a workload. May only tighten what the trust bundle says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberConfig {
    /// The custody that the hub means; must equal the trust bundle's.
    pub custody_id: CustodyId,
    /// How to reach the broker.
    pub nats: NatsConfig,
    /// Limits below the floor.
    #[serde(default)]
    pub policy: Policy,
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

/// The hub's limits; the strictest of these and the floor holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
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
    /// Symbol, as in the floor.
    pub asset: String,
    /// Highest amount of one payment, decimal string in the smallest unit.
    pub per_transaction: String,
    /// Highest sum of one wallet's payments in a rolling window; holds beside the floor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<Rolling>,
    /// Highest sum of all wallets' payments in a rolling window; holds beside the floor's.
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

/// A party's public keys, with proof that it holds the private ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Whose keys.
    pub role: Role,
    /// The custody they were made for, as soon as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody_id: Option<CustodyId>,
    /// NATS user public NKey, `U...`: the connection only.
    pub nats_user: String,
    /// Message and sealing keys.
    pub keys: PeerKeys,
    /// Signature of [`crate::fingerprint::statement`] by the message key, 128 hex digits.
    pub message_proof: String,
    /// Signature of the same statement by the NATS user key, 128 hex digits.
    pub nats_proof: String,
}

/// Why a workload does, or does not, serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Started; its keys are not made or not opened yet (Vault away or sealed, see the message).
    Starting,
    /// The trust bundle lacks custody, peers or floor, or the config contradicts it.
    AwaitingTrust,
    /// No NATS user JWT for its present key.
    AwaitingCredentials,
    /// Cooler only: the cool phrase has not been imported.
    AwaitingCoolKey,
    /// Serves no operation until peers have vouched for its history.
    Locked,
    /// Serves no operation until the data centre's admin thaws it.
    Frozen,
    /// Connected to the broker and answering.
    Serving,
    /// Everything is in place but the broker does not answer.
    Disconnected,
}

/// What a workload says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Present state.
    pub state: State,
    /// One line for people: what is missing and what to do.
    pub message: String,
    /// Public keys; absent until they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// [`Credentials::generation`] in use; absent while not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_generation: Option<u64>,
    /// Newest version of the Transit key, as seen at the last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key_version: Option<u64>,
    /// Secrets that are still sealed by an older version of the Transit key; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrap_left: Option<u64>,
    /// Head of the audit chain at the last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<AuditHead>,
    /// Digests of the documents in use.
    #[serde(default)]
    pub digests: Digests,
    /// Version of the workload.
    pub version: String,
}

/// How long a signer's audit chain is, and the hash of its last record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditHead {
    /// Records.
    pub count: u64,
    /// 64 lower-case hex digits.
    pub hash: String,
}

/// SHA-256 of documents as they were read, lower-case hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Digests {
    /// Of the manifest's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Of the effective policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Of `trust.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_writes_the_workload_reads() {
        let config = MemberConfig {
            custody_id: CustodyId::from_slice(&[1; 16]).unwrap(),
            nats: NatsConfig { urls: vec!["tls://nats:4222".into()], ca_bundle: "PEM".into() },
            policy: Policy::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<MemberConfig>(&json).unwrap(), config);
        assert!(json.contains("caBundle"), "{json}");
    }

    #[test]
    fn an_unknown_field_is_refused_in_every_document() {
        assert!(serde_json::from_str::<Policy>(r#"{"limitz":[]}"#).is_err());
        assert!(serde_json::from_str::<Credentials>(r#"{"generation":1,"userJwt":"x","seed":"S"}"#).is_err());
        assert!(serde_json::from_str::<Digests>(r#"{"other":""}"#).is_err());
    }

    #[test]
    fn a_role_has_its_own_config_maps() {
        assert_eq!(
            [config_map(Role::Keeper), credentials_map(Role::Keeper), report_map(Role::Cooler)],
            ["keeper-config", "keeper-credentials", "cooler-report"]
        );
    }
}
