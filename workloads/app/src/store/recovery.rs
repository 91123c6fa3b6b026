//! What the database may have lost: its epoch, how far the signers' records are read, and what they tell that it did not
//! know.

use std::path::Path;

use async_trait::async_trait;
use custody::Role;

use super::error::StoreError;
use crate::domain::{Epoch, Lost, PaymentId, Reading};

/// See the module.
#[async_trait]
pub(crate) trait Recovery: Send + Sync {
    /// How often the database was restored, and one.
    async fn epoch(&self) -> Result<Epoch, StoreError>;

    /// How far this signer's records are read; `None`: they never were.
    async fn reading(&self, signer: Role) -> Result<Option<Reading>, StoreError>;

    /// Writes what a page told with how far it goes, in one commit: transactions of payments that the database does not
    /// know and, at the `start`, of those that have not ended. How many payments it did not know.
    async fn note_lost(
        &self,
        signer: Role,
        reading: Reading,
        lost: Vec<Lost>,
        start: bool,
    ) -> Result<usize, StoreError>;

    /// Payments that have not ended begin again where the last transaction that was signed for them is not the one that
    /// is stored; what was noted of those that have ended is forgotten.
    async fn prepare_lost(&self) -> Result<(), StoreError>;

    /// The transactions that were noted of a payment, the newest first.
    async fn lost(&self, payment: PaymentId) -> Result<Vec<Lost>, StoreError>;

    /// Writes a consistent copy of the whole database into a new file, for its owner alone.
    async fn copy_to(&self, file: &Path) -> Result<(), StoreError>;
}
