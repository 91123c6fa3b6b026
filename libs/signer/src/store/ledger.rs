//! The store inside a transaction.

use rusqlite::Connection;

use super::error::StoreError;

/// The store inside a decision's transaction.
pub struct Ledger<'a> {
    pub(super) connection: &'a Connection,
    now_ms: u64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(connection: &'a Connection, now_ms: u64) -> Self {
        Self { connection, now_ms }
    }

    /// Reads of one moment, which ends with them: of a look, not within a decision.
    pub(super) fn moment<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let moment = self.connection.unchecked_transaction()?;
        let found = read()?;
        moment.commit()?;
        Ok(found)
    }

    /// When this is decided, Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// SQLite's integers are signed.
pub(super) fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Failed(format!("{value} is above 2^63 - 1")))
}

pub(super) fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Failed(format!("{value} is below 0; restore the volume")))
}
