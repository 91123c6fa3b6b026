//! What the relayer sends a transaction for.

use super::progress::Kind;

/// At most one transaction of the relayer is under way for each purpose of a payment. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayPurpose {
    /// Creates the wallet on the chain.
    Creation,
    /// Carries out what the owners signed.
    Execution(Kind),
}

impl RelayPurpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RelayPurpose::Creation => "deployment",
            RelayPurpose::Execution(kind) => kind.as_str(),
        }
    }
}
