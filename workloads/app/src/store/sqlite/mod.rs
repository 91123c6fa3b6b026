//! The database as one SQLite file: WAL, synchronous FULL, one process.

mod history;
mod lists;
mod payments;
mod relays;
mod row;
mod transactions;
mod wallets;

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chain::ChainRules;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::StoreError;

/// Says what time it is: the wall clock, but for tests.
pub(crate) type Clock = fn() -> Timestamp;

const FILE: &str = "app.sqlite";
/// Steps from version n to n + 1; one that was released never changes.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema.sql"),
    include_str!("waits.sql"),
    include_str!("claims.sql"),
    include_str!("states.sql"),
    include_str!("callers.sql"),
];
/// SQLite's `user_version` of a present database.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// The only handle of the database; clones share it.
#[derive(Clone)]
pub(crate) struct Sqlite {
    db: Arc<Mutex<Connection>>,
    /// Addresses are read by the rules of their chain.
    rules: Arc<dyn ChainRules>,
    /// The time of every change.
    clock: Clock,
}

impl Sqlite {
    /// Opens or creates the database in `dir`, for this process alone.
    pub(crate) fn open(dir: &Path, rules: Arc<dyn ChainRules>, clock: Clock) -> Result<Self, StoreError> {
        let file = dir.join(FILE);
        // It may hold client keys: for its owner alone. SQLite's other files get the same mode.
        fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file).map_err(StoreError::File)?;
        let db = Connection::open(file)?;
        exclusive(&db).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => StoreError::InUse(dir.display().to_string()),
            _ => error.into(),
        })?;
        migrate(&db)?;
        Ok(Self { db: Arc::new(Mutex::new(db)), rules, clock })
    }

    /// Runs `work` on the database, off the async threads: a commit waits for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let db = self.db.clone();
        let done = tokio::task::spawn_blocking(move || {
            // A poisoned lock means a panic between statements: SQLite rolled its transaction back.
            work(&mut db.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(|_| StoreError::Stopped)?
    }
}

/// Exclusive: two Apps on one volume would sign for different payments with the same claims.
fn exclusive(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE; COMMIT;",
    )
}

fn migrate(db: &Connection) -> Result<(), StoreError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let steps = done.ok_or(StoreError::UnknownVersion { found, newest: VERSION })?.concat();
    db.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
