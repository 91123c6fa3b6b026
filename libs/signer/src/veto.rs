//! Vetoes that stand until they are lifted, by what they are of.

use serde::{Deserialize, Serialize};

/// Whose payments a veto is of that stands until it is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VetoScope {
    /// Of the wallet with this id.
    Wallet,
    /// To this destination, on every chain.
    Destination,
}

impl VetoScope {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            VetoScope::Wallet => "wallet",
            VetoScope::Destination => "destination",
        }
    }
}
