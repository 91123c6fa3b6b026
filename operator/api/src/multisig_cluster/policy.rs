//! The hub's limits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The hub's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Limits by chain and asset. At most 64.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["chain", "asset"])
    )]
    pub limits: Vec<LimitSpec>,
}

/// A limit. The stricter of this and the local policy applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitSpec {
    /// Name of a chain in `chains`.
    #[schemars(length(min = 1, max = 32))]
    pub chain: String,
    /// The asset's symbol, as in the local policy.
    #[schemars(length(min = 1, max = 32))]
    pub asset: String,
    /// Highest amount of one payment: a decimal string in the asset's smallest unit (wei).
    #[schemars(length(min = 1, max = 78), regex(pattern = "^(0|[1-9][0-9]*)$"))]
    pub per_transaction: String,
    /// Highest total of one wallet's payments in a rolling window. Applies in addition to the local policy's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<RollingSpec>,
    /// Highest total of all wallets' payments in a rolling window. Applies in addition to the local policy's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<RollingSpec>,
}

/// A limit over time. An amount counts from its signature until one window after its settlement was attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingSpec {
    /// Highest total: a decimal string in the asset's smallest unit (wei).
    #[schemars(length(min = 1, max = 78), regex(pattern = "^(0|[1-9][0-9]*)$"))]
    pub amount: String,
    /// Length of the window in seconds, at most a leap year.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub window_seconds: i64,
}
