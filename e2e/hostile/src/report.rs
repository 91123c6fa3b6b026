//! What came of each attack.

use serde::Serialize;

/// The domain whose credentials the attacker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// The broker and everybody's connection keys.
    Broker,
    /// All that App has.
    App,
    /// A signer's files and backups, without its Vault.
    Database,
    /// The power switch.
    Crash,
}

/// One attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Whose credentials.
    pub suite: Suite,
    /// What was tried, in a few words.
    pub attack: String,
    /// What refused it: a stable reason, or the part that noticed.
    pub refused_by: String,
    /// What moved on the chain and no legitimate request explains, decimal, in the asset's smallest unit.
    pub moved: String,
    /// What the floor lets such an attacker have at most, in the same unit; only of suite `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}
