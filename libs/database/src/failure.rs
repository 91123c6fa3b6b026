//! Why nothing was read or written.

use std::{error::Error, sync::Arc};

/// Why nothing was read or written. `Clone`, since one commit answers many.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The file can't be opened.
    #[error("{0}")]
    Open(Arc<rusqlite::Error>),
    /// SQLite failed; nothing of this step was kept.
    #[error("{0}")]
    Failed(Arc<rusqlite::Error>),
    /// What ends a group refused it; nothing of it was kept.
    #[error("{0}")]
    Refused(Arc<dyn Error + Send + Sync>),
    /// SQLite gave up a whole transaction within a step, as it does on a full disk.
    #[error("a transaction was given up")]
    GivenUp,
    /// The system has no thread for the writer.
    #[error("the writer's thread does not start: {0}")]
    NoThread(Arc<std::io::Error>),
    /// The writer has ended.
    #[error("the thread that writes has ended")]
    Closed,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}
