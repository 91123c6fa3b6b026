//! The signer's file: written by one thread, many transactions a commit, and read beside it.

use std::path::Path;

use database::{Database, Moment};
use rusqlite::Connection;

use super::{error::StoreError, schema};
use crate::fault;

/// The file in the data directory.
pub const FILE: &str = "signer.sqlite3";

/// A handle to the store.
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens or makes the store in `data_dir` and starts its writer, which ends with the handle.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let opened = Database::open(&path, schema::migrate, |moment| match moment {
            Moment::Written => fault::point("written"),
            Moment::Committed => fault::point("committed"),
        });
        let database = opened.map_err(|error| match error {
            StoreError::Open { cause, .. } => StoreError::Open { path: path.display().to_string(), cause },
            other => other,
        })?;
        Ok(Self { database })
    }

    /// Runs `step` on the writer and answers when it is on disk. A step that fails leaves nothing behind and does not
    /// touch the others of its group.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.database.write(step).await
    }

    /// Leaves a step whose outcome nobody waits for to the next group; a failure is in the log.
    pub(super) fn leave(&self, step: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) {
        self.database.leave(step);
    }

    /// Writes what was left to a next group that has not come.
    pub async fn flush(&self) -> Result<(), StoreError> {
        Ok(self.database.flush().await?)
    }

    /// Counts from now on the steps of what its writer prepares, but for BEGIN and COMMIT: SQLite asks whether each is
    /// allowed when a statement is prepared, and at no other time.
    #[cfg(test)]
    pub(crate) async fn count_prepared(&self) -> std::sync::Arc<std::sync::atomic::AtomicUsize> {
        use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };

        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let hook = move |connection: &Connection| {
            Ok(connection.authorizer(Some(move |asked: AuthContext<'_>| {
                let counts = !matches!(asked.action, AuthAction::Transaction { .. });
                counted.fetch_add(counts.into(), Ordering::Relaxed);
                Authorization::Allow
            }))?)
        };
        self.write(hook).await.unwrap();
        count
    }

    /// Runs `query` on a connection that only reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.database.read(query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_of_a_newer_build_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(Store::open(dir.path()).err(), Some(StoreError::TooNew { version: 99, known: 5 }));
    }
}
