//! The signer's file: written by one thread, many transactions a commit, and read beside it.

use std::{path::Path, sync::Arc};

use database::{Database, Failure, LogUse, Moment};
use rusqlite::Connection;

use super::{
    authentic::{self, Slot},
    error::StoreError,
    schema,
};
use crate::fault;

/// The file in the data directory.
pub const FILE: &str = "signer.sqlite3";

/// A handle to the store.
pub struct Store {
    database: Database,
    pub(super) slot: Slot,
    /// Tests look at how SQLite goes about everything.
    #[cfg(test)]
    watch: super::plans::Watch,
}

impl Store {
    /// Opens or makes the store in `data_dir` and starts its writer, which ends with the handle.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let slot = Slot::default();
        let prepare = |connection: &mut Connection| {
            schema::migrate(connection)?;
            // A row that another takes the place of is deleted like any other.
            connection.pragma_update(None, "recursive_triggers", true)?;
            authentic::guard(connection)
        };
        let passed = |moment| match moment {
            Moment::Written => fault::point("written"),
            Moment::Committed => fault::point("committed"),
        };
        let tallier = slot.clone();
        let end_group = move |connection: &Connection| {
            let mut tallier = authentic::locked(&tallier);
            let ended = tallier.as_mut().map_or(Ok(()), |tallier| tallier.end_group(connection));
            ended.map_err(|error| Failure::Refused(Arc::new(error)))
        };
        let opened = Database::open_with(&path, prepare, passed, end_group);
        let database = opened.map_err(|error| match error {
            StoreError::Open { cause, .. } => StoreError::Open { path: path.display().to_string(), cause },
            other => other,
        })?;
        Ok(Self {
            database,
            slot,
            #[cfg(test)]
            watch: super::plans::Watch::default(),
        })
    }

    /// Runs `step` on the writer and answers when it is on disk. A step that fails leaves nothing behind and does not
    /// touch the others of its group.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        let step = self.watch.over(step);
        self.database.write(step).await
    }

    /// The same before all that is not urgent.
    pub(super) async fn write_urgent<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        let step = self.watch.over(step);
        self.database.write_urgent(step).await
    }

    /// Leaves a step whose outcome nobody waits for to the next group; a failure is in the log.
    pub(super) fn leave(&self, step: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) {
        #[cfg(test)]
        let step = self.watch.over(step);
        self.database.leave(step);
    }

    /// Writes what was left to a next group that has not come.
    pub async fn flush(&self) -> Result<(), StoreError> {
        Ok(self.database.flush().await?)
    }

    /// What SQLite's log was used for since the store was opened.
    pub fn log_use(&self) -> LogUse {
        self.database.log_use()
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

    /// From now on the file has at most so many pages: SQLite refuses one more as a full volume does.
    #[cfg(test)]
    pub(crate) async fn cap_pages(&self, pages: u64) {
        let cap = move |connection: &Connection| {
            Ok(connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        };
        self.write(cap).await.unwrap();
    }

    /// Pages of the file, and the bytes of one.
    #[cfg(test)]
    pub(crate) async fn pages(&self) -> (u64, u64) {
        let pragma = |connection: &Connection, name: &str| -> Result<i64, StoreError> {
            Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
        };
        let look =
            move |connection: &Connection| Ok((pragma(connection, "page_count")?, pragma(connection, "page_size")?));
        let (pages, size) = self.read(look).await.unwrap();
        (pages as u64, size as u64)
    }

    /// How often SQLite's programs went round or on since this was last asked.
    #[cfg(test)]
    pub(crate) fn turns(&self) -> u64 {
        self.watch.turns()
    }

    /// Runs `query` on a connection that only reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        let query = self.watch.over(query);
        self.database.read(query).await
    }

    /// The same on a connection that nothing else takes.
    pub(super) async fn read_urgent<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        let query = self.watch.over(query);
        self.database.read_urgent(query).await
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
        assert_eq!(Store::open(dir.path()).err(), Some(StoreError::TooNew { version: 99, known: schema::KNOWN }));
    }
}
