//! One decision as one transaction: what is read in it is what is written upon, and all of it is on disk before the
//! asker hears of it. Decisions run on the writer's thread, one after the other; who only looks does so beside it.

use rusqlite::Connection;

use super::{error::StoreError, ledger::Ledger, writer::Store};

impl Store {
    /// Decides at `now_ms` and returns once the decision is on disk. `decide` must not wait for anything.
    pub async fn decide<T: Send + 'static>(
        &self,
        now_ms: u64,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(move |connection| decide(&Ledger::new(connection, now_ms))).await
    }

    /// Decides before all that waits for [`Store::decide`]: what stops a signer, what others tell it, and the admin.
    pub async fn decide_urgent<T: Send + 'static>(
        &self,
        now_ms: u64,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_urgent(move |connection| decide(&Ledger::new(connection, now_ms))).await
    }

    /// Looks without deciding, at one moment's state; `now_ms` as in [`Store::decide`].
    pub async fn look<T: Send + 'static>(
        &self,
        now_ms: u64,
        look: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(move |connection| at_one_moment(connection, now_ms, look)).await
    }

    /// Reads out much: each page of it is of a moment of its own, so that whoever takes it slowly pins nothing.
    pub async fn export<T: Send + 'static>(
        &self,
        now_ms: u64,
        export: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(move |connection| export(&Ledger::new(connection, now_ms))).await
    }

    /// Looks whatever else is being looked at.
    pub async fn look_urgent<T: Send + 'static>(
        &self,
        now_ms: u64,
        look: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_urgent(move |connection| at_one_moment(connection, now_ms, look)).await
    }
}

/// All that is looked at is of one commit.
fn at_one_moment<T>(
    connection: &Connection,
    now_ms: u64,
    look: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let moment = connection.unchecked_transaction()?;
    look(&Ledger::new(&moment, now_ms))
}
