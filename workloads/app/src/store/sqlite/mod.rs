//! The database as one SQLite file: written by one thread, many transactions a commit, and read beside it. One process.
//!
//! A new statement is one `self.read(|db| ...)` or `self.write(|db| ...)`: what a `write` does is one transaction, kept
//! as a whole or not at all, and on the disk when it returns. Tests look at the plan of every statement that is run:
//! none may go through all rows of a table that grows.

mod db;
mod history;
mod lists;
mod payment_row;
mod payments;
#[cfg(test)]
mod plans;
pub(crate) mod recovery;
mod relays;
mod row;
mod transactions;
mod wallet_row;
mod wallets;

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use chain::ChainRules;
use database::{Database, Failure};
use db::Db;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::StoreError;

/// Says what time it is: the wall clock, but for tests.
pub(crate) type Clock = fn() -> Timestamp;

const FILE: &str = "app.sqlite";
/// Locked by the one App of a volume. A file of its own: closing any handle of the database's file would give up
/// SQLite's own locks.
const LOCK: &str = "app.lock";
/// Steps from version n to n + 1; one that was released never changes.
const MIGRATIONS: [&str; 7] = [
    include_str!("schema.sql"),
    include_str!("waits.sql"),
    include_str!("claims.sql"),
    include_str!("states.sql"),
    include_str!("counters.sql"),
    include_str!("recovery.sql"),
    include_str!("callers.sql"),
];
/// SQLite's `user_version` of a present database.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// The only handle of the database; clones share it.
#[derive(Clone)]
pub(crate) struct Sqlite {
    open: Arc<Open>,
    /// Addresses are read by the rules of their chain.
    rules: Arc<dyn ChainRules>,
    /// The time of every change.
    clock: Clock,
}

/// Dropped in this order: the lock is given up once the file is closed.
struct Open {
    database: Database,
    _lock: File,
}

impl Sqlite {
    /// Opens or creates the database in `dir`, for this process alone.
    pub(crate) fn open(dir: &Path, rules: Arc<dyn ChainRules>, clock: Clock) -> Result<Self, StoreError> {
        let _lock = lock(dir)?;
        let file = dir.join(FILE);
        private(&file)?;
        let database = Database::open(&file, migrate, |_| {}).map_err(|error| match error {
            // An App of an older build locks the database itself.
            StoreError::Database(failure) if is_busy(&failure) => in_use(dir),
            other => other,
        })?;
        Ok(Self { open: Arc::new(Open { database, _lock }), rules, clock })
    }

    /// Runs `query` on a connection that only reads; it sees all that a [`Self::write`] has returned for.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(Db<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.open.database.read(|connection| db::run(connection, query)).await
    }

    /// Runs `step` as one transaction, and answers when it is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(Db<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.open.database.write(|connection| db::run(connection, step)).await
    }
}

/// Makes this process the only one that uses the database in `dir`, for as long as the file is open.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let lock = private(&dir.join(LOCK))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => in_use(dir),
        TryLockError::Error(error) => StoreError::File(error),
    })?;
    Ok(lock)
}

fn in_use(dir: &Path) -> StoreError {
    StoreError::InUse(dir.display().to_string())
}

/// Opens or makes a file for its owner alone: the database may hold client keys. SQLite's other files get the same mode.
fn private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(StoreError::File)
}

fn is_busy(failure: &Failure) -> bool {
    let (Failure::Open(error) | Failure::Failed(error)) = failure else { return false };
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// Two Apps may not come here at once: the lock is held.
fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let steps = done.ok_or(StoreError::UnknownVersion { found, newest: VERSION })?.concat();
    db.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    Ok(())
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Stopped,
            failure => Self::Database(failure),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Failure::from(error).into()
    }
}

#[cfg(test)]
mod tests;
