//! The relayer's transactions: signed, recorded here, and only then sent.

use async_trait::async_trait;
use chain::Relayed;

use super::error::StoreError;
use crate::domain::{PaymentId, RelayPurpose};

/// See the module.
#[async_trait]
pub(crate) trait Relays: Send + Sync {
    /// Records a transaction that is about to be sent for a payment. Signing is deterministic, so one that had ended
    /// may be made again.
    async fn relay(&self, payment: PaymentId, purpose: RelayPurpose, relayed: Relayed) -> Result<(), StoreError>;

    /// The transaction that may still be mined for this purpose.
    async fn relayed(&self, payment: PaymentId, purpose: RelayPurpose) -> Result<Option<Relayed>, StoreError>;

    /// The transaction of this name is mined, or never can be.
    async fn relay_ended(&self, tx: &str) -> Result<(), StoreError>;
}
