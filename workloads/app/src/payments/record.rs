//! Where the executor keeps what it is about to send for a payment: App's database, so that after a crash the same
//! transaction is sent again.

use chain::{Outcome, Purpose, Relayed, execute::Record};

use super::trouble::Trouble;
use crate::{
    domain::{Kind, PaymentId, RelayPurpose},
    store::Store,
};

/// What the relayer sends for one of a payment's transactions.
pub(super) struct Sent<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) payment: PaymentId,
    pub(super) kind: Kind,
}

impl Sent<'_> {
    fn purpose(&self, purpose: Purpose) -> RelayPurpose {
        match purpose {
            Purpose::Creation => RelayPurpose::Creation,
            Purpose::Execution => RelayPurpose::Execution(self.kind),
        }
    }
}

impl Record for Sent<'_> {
    type Error = Trouble;

    async fn load(&self, purpose: Purpose) -> Result<Option<Relayed>, Trouble> {
        Ok(self.store.relayed(self.payment, self.purpose(purpose)).await?)
    }

    async fn store(&self, purpose: Purpose, relayed: &Relayed) -> Result<(), Trouble> {
        let purpose = self.purpose(purpose);
        tracing::info!(payment = %self.payment, purpose = purpose.as_str(), tx = relayed.tx, "sending");
        Ok(self.store.relay(self.payment, purpose, relayed.clone()).await?)
    }

    async fn ended(&self, _purpose: Purpose, relayed: &Relayed, _outcome: &Outcome) -> Result<(), Trouble> {
        Ok(self.store.relay_ended(&relayed.tx).await?)
    }
}
