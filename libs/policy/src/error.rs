//! Why a policy can't be used.

use chain::ChainId;

/// Why a policy can't be used: nothing is signed until it is corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A value of the local policy.
    #[error("the local policy is not usable: {0}; correct it with `multisig member prepare`")]
    LocalPolicy(String),
    /// The hub limits what the local policy does not have: a typing error would otherwise limit nothing.
    #[error("the hub limits {asset} on {chain}, which the local policy does not name; correct spec.policy.limits")]
    UnknownAsset {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
    },
    /// The hub limits an asset twice.
    #[error("the hub limits {asset} on {chain} twice; correct spec.policy.limits")]
    Twice {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
    },
    /// A limit of the hub is not an amount, or its window is not a duration.
    #[error("the hub's limit for {asset} on {chain} is not usable: {cause}; correct spec.policy.limits")]
    Limit {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
        /// What is wrong.
        cause: String,
    },
    /// A chain whose wallets could not be evacuated or freed of a stuck nonce.
    #[error(
        "the manifest names no safe destination on {0}, which the local policy names; sign a manifest that has one"
    )]
    NoSafeDestination(ChainId),
    /// A safe destination is malformed.
    #[error("a safe destination of the manifest is not usable: {0}")]
    SafeDestination(String),
}

/// For a value of the local policy.
pub(crate) fn local_policy(why: impl ToString) -> PolicyError {
    PolicyError::LocalPolicy(why.to_string())
}
