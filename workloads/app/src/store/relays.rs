//! The relayer's transactions: signed, recorded here, and only then sent.

use async_trait::async_trait;
use chain::{Errand, Relayed};

use super::error::StoreError;

/// See the module. An errand is of a payment, and its purpose says which of the payment's calls it is.
#[async_trait]
pub(crate) trait Relays: Send + Sync {
    /// Records a transaction that is about to be sent. Signing is deterministic, so one that had ended may be made
    /// again.
    async fn relay(&self, errand: Errand, relayed: Relayed) -> Result<(), StoreError>;

    /// All that have not ended, in the order in which they were recorded.
    async fn relays_under_way(&self) -> Result<Vec<(Errand, Relayed)>, StoreError>;

    /// The transactions of these names are final, or never can be mined.
    async fn relays_ended(&self, txs: Vec<String>) -> Result<(), StoreError>;
}
