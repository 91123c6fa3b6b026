//! App's database: what users asked for is on the disk before anything is signed for it, and every step after that
//! before it is taken. SQLite, WAL, synchronous FULL: a commit that returned survives a power cut.

mod payments;
mod relays;
mod wallets;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

pub(crate) use payments::{Kind, NewPayment, Payment, Stage, Status, Transaction};
pub(crate) use relays::Purpose;
pub(crate) use wallets::{Attested, Wallet};

const FILE: &str = "app.sqlite";
/// Raised with each change of [`SCHEMA`].
const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database in {0} is in use by another process; only one App may run on a volume")]
    InUse(String),
    #[error("the database has version {0}, this build reads version {VERSION} only; run the version that wrote it")]
    UnknownVersion(i64),
    #[error("the database holds '{value}' as {what}, which this build does not know; run the version that wrote it")]
    Unknown { what: &'static str, value: String },
    #[error("the database's thread ended early")]
    Stopped,
}

/// The only handle of the database; clones share it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens or creates the database in `dir`, for this process alone.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let db = Connection::open(dir.join(FILE))?;
        Self::prepare(&db).map_err(|error| match error {
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(code, _))
                if code.code == rusqlite::ErrorCode::DatabaseBusy =>
            {
                StoreError::InUse(dir.display().to_string())
            }
            other => other,
        })?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    fn prepare(db: &Connection) -> Result<(), StoreError> {
        // Exclusive: two Apps on one volume would sign the same nonce for different payments.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
        )?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            VERSION => db.execute_batch("BEGIN IMMEDIATE; COMMIT;")?,
            0 => db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"))?,
            other => return Err(StoreError::UnknownVersion(other)),
        }
        Ok(())
    }

    /// Runs `work` on the database, off the async threads: a commit waits for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let db = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            // A poisoned lock means a panic between statements: SQLite rolled its transaction back.
            work(&mut db.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.map_err(|_| StoreError::Stopped)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(dir.path()).unwrap();
        let Err(error) = Store::open(dir.path()) else { panic!("two Apps on one database") };
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
    }

    #[test]
    fn a_database_of_another_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join(FILE)).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::UnknownVersion(99))));
    }
}
