//! Where the relayer keeps what it is about to send: App's database, so that after a crash the same transaction is sent
//! again.

use std::sync::Arc;

use async_trait::async_trait;
use chain::{Errand, Journal, JournalError, Relayed};

use crate::store::Store;

/// See the module.
pub(crate) struct Sent(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Journal for Sent {
    async fn under_way(&self) -> Result<Vec<(Errand, Relayed)>, JournalError> {
        Ok(self.0.relays_under_way().await?)
    }

    async fn write(&self, errand: &Errand, relayed: &Relayed) -> Result<(), JournalError> {
        self.0.relay(errand.clone(), relayed.clone()).await?;
        let Relayed { tx, claim, .. } = relayed;
        tracing::info!(payment = errand.of, purpose = errand.purpose, tx, %claim, "sending");
        Ok(())
    }

    async fn end(&self, txs: Vec<String>) -> Result<(), JournalError> {
        Ok(self.0.relays_ended(txs).await?)
    }
}
