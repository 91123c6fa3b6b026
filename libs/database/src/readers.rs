//! The connections that read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{Failure, connection, writer::Class};

/// Connections at most. A query takes microseconds; one that needs the disk leaves the others to the rest.
const READERS: usize = 8;
/// Of them, those that only urgent queries may take.
const URGENT: usize = 2;

/// A pool that opens its connections as they are needed.
pub(crate) struct Readers {
    pool: Arc<Pool>,
    ordinary: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn of(path: &Path) -> Self {
        let pool = Arc::new(Pool { path: path.to_owned(), idle: Mutex::default() });
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { pool, ordinary: permits(READERS - URGENT), urgent: permits(URGENT) }
    }

    /// See [`crate::Database::read`].
    pub(crate) async fn read<T, E>(
        &self,
        class: Class,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        let free = if class == Class::Urgent { &self.urgent } else { &self.ordinary };
        let permit = free.clone().acquire_owned().await.map_err(|_| Failure::Closed)?;
        let pool = self.pool.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            // Held until the connection is back, also where the asker has given up.
            let _permit = permit;
            let connection = pool.take()?;
            let outcome = query(&connection);
            pool.idle().push(connection);
            outcome
        });
        outcome.await.map_err(|_| Failure::Closed)?
    }
}

impl Pool {
    fn take(&self) -> Result<Connection, Failure> {
        let idle = self.idle().pop();
        idle.map_or_else(|| connection::for_reading(&self.path), Ok)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
