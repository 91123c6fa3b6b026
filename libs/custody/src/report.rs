//! What a workload says of itself, in the ConfigMap `<role>-report`: written by the workload, read by the hub. Nothing
//! secret is in it.

use serde::{Deserialize, Serialize};

use crate::{Role, identity::Identity};

/// Key in `<role>-report`: [`Report`] as JSON.
pub const REPORT_KEY: &str = "report.json";

/// Name of the ConfigMap in which the workload reports.
pub fn report_map(role: Role) -> String {
    format!("{role}-report")
}

/// Why a workload does, or does not, serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkloadState {
    /// Started; its keys are not made or not opened yet (Vault away or sealed, see the message).
    Starting,
    /// The member trust lacks custody, peers or local policy, or the config contradicts it.
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
    pub state: WorkloadState,
    /// One line for people: what is missing and what to do.
    pub message: String,
    /// Public keys; absent until they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// [`crate::config::Credentials::generation`] in use; absent while not connected.
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
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<Digests>(r#"{"other":""}"#).is_err());
    }

    #[test]
    fn a_role_has_its_own_report() {
        assert_eq!(report_map(Role::Cooler), "cooler-report");
    }
}
