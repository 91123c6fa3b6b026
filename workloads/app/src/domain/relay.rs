//! What the relayer sends a transaction for.

use chain::Errand;

use super::{order::PaymentId, progress::Kind};

/// At most one call is under way for each purpose of a payment. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayPurpose {
    /// Creates the wallet on the chain.
    Creation,
    /// Carries out what the owners signed.
    Execution(Kind),
}

impl RelayPurpose {
    fn as_str(self) -> &'static str {
        match self {
            RelayPurpose::Creation => "deployment",
            RelayPurpose::Execution(kind) => kind.as_str(),
        }
    }

    /// The errand of this purpose for a payment.
    pub(crate) fn errand(self, payment: PaymentId) -> Errand {
        Errand { of: payment.to_string(), purpose: self.as_str().to_owned() }
    }
}
