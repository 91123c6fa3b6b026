//! The broker, the custody's NATS account and the objects on the hub that belong to it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{KeyRef, NameRef};

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsSpec {
    /// `tls://host:port` of every server. Servers that the broker advertises are ignored.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 255), regex(pattern = r"^tls://[^/\s]+$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub urls: Vec<String>,
    /// ConfigMap with the root certificates (PEM) that are accepted for the broker.
    pub ca_bundle_ref: KeyRef,
    /// The NATS account of this custody.
    pub account: NatsAccountSpec,
}

/// The NATS account of this custody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.managed) == (self.type == 'Managed')").message("type Managed needs managed, and only managed")
)]
pub struct NatsAccountSpec {
    /// Who creates the account.
    #[serde(rename = "type")]
    pub type_: NatsAccountType,
    /// For `Managed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedAccountSpec>,
}

/// Who creates the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NatsAccountType {
    /// The operator creates it and pushes it to the broker. Whoever can do that can also lock accounts out.
    Managed,
}

/// What the operator needs to create the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedAccountSpec {
    /// Secret with the keys `operator-signing.seed` and `sys.creds`.
    pub secret_ref: NameRef,
}

/// Key in the Secret of `nats.account.managed`: seed (`SO...`) of a NATS operator signing key.
pub const OPERATOR_SEED_KEY: &str = "operator-signing.seed";
/// Key in the Secret of `nats.account.managed`: credentials file of a user of the SYS account. It needs to publish
/// `$SYS.REQ.ACCOUNT.*.CLAIMS.{LOOKUP,UPDATE}` and `$SYS.REQ.SERVER.PING.IDZ` and to subscribe to
/// `_INBOX.multisig-operator.>`, nothing else.
pub const SYSTEM_CREDS_KEY: &str = "sys.creds";

/// Name of the Secret in which the operator keeps the account's keys and everything that it has minted.
pub fn account_secret(cluster: &str) -> String {
    format!("{cluster}-nats-account")
}

/// Name of the ConfigMap with App's credentials (key `credentials.json`).
pub fn app_credentials_map(cluster: &str) -> String {
    format!("{cluster}-app-credentials")
}
