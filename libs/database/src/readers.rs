//! The connections that read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{Failure, connection};

/// Connections at most. A query takes microseconds; one that needs the disk leaves the others to the rest.
const READERS: usize = 8;

/// A pool that opens its connections as they are needed.
pub(crate) struct Readers {
    pool: Arc<Pool>,
    free: Arc<Semaphore>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn of(path: &Path) -> Self {
        let pool = Arc::new(Pool { path: path.to_owned(), idle: Mutex::default() });
        Self { pool, free: Arc::new(Semaphore::new(READERS)) }
    }

    /// See [`crate::Database::read`].
    pub(crate) async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        let permit = self.free.clone().acquire_owned().await.map_err(|_| Failure::Closed)?;
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
