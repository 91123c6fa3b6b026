//! App's database: what users asked for is on the disk before anything is signed for it, and every step after that
//! before it is taken. SQLite, WAL, synchronous FULL: a commit that returned survives a power cut.

mod payments;
mod relays;
mod wallets;

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

pub(crate) use payments::{Kind, NewPayment, Payment, Stage, Status, Transaction};
pub(crate) use relays::Purpose;
pub(crate) use wallets::{Attested, Wallet};

const FILE: &str = "app.sqlite";
/// Steps from version n to n + 1; one that was released never changes.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("waits.sql")];
/// SQLite's `user_version` of a present database.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("can't open the database's file: {0}; check dataDir in the configuration and its owner")]
    File(std::io::Error),
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database in {0} is in use by another process; only one App may run on a volume")]
    InUse(String),
    #[error("the database has version {0}, this build reads up to version {VERSION}; run the version that wrote it")]
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
        let file = dir.join(FILE);
        // It may hold client keys: for its owner alone. SQLite's other files get the same mode.
        fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file).map_err(StoreError::File)?;
        let db = Connection::open(file)?;
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
        let done = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..));
        let steps = done.ok_or(StoreError::UnknownVersion(version))?.concat();
        db.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"))?;
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
    use std::os::unix::fs::PermissionsExt;

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

    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_the_present_with_all_that_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join(FILE)).unwrap();
        db.execute_batch(MIGRATIONS[0]).unwrap();
        db.execute_batch(
            "INSERT INTO wallets (id, operation_seed) VALUES ('alice', zeroblob(16)); PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(db);
        for _ in 0..2 {
            let store = Store::open(dir.path()).unwrap();
            assert_eq!(store.wallet("alice".into()).await.unwrap().unwrap().operation_seed, [0; 16]);
            assert!(store.client_key("alice".into()).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn nobody_else_may_read_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.ask_for_wallet("alice".into(), [0; 16], None).await.unwrap();
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap()).collect();
        assert!(!files.is_empty());
        for file in files {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
        }
    }
}
