//! Why nothing was read or written.

use database::Failure;

/// Why nothing was read or written. `Clone`, since one commit answers many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file can't be opened.
    #[error("cannot open the store {path}: {cause}; the volume must be mounted there and be writable")]
    Open {
        /// The file.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// Written by a newer build.
    #[error("the store has version {version}, this build knows {known}; run the newer build again")]
    TooNew {
        /// Of the file.
        version: u32,
        /// Of this build.
        known: u32,
    },
    /// SQLite failed; nothing of this step was kept.
    #[error("the store failed: {0}; check the volume's free space and health")]
    Failed(String),
    /// The writer did not begin, or the process is ending.
    #[error("the store did not take the request: the process is ending, or its volume failed (see the log)")]
    Closed,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            // Whoever opens it knows where it is.
            Failure::Open(error) => StoreError::Open { path: String::new(), cause: error.to_string() },
            Failure::Closed => StoreError::Closed,
            Failure::Failed(_) | Failure::GivenUp | Failure::NoThread(_) => StoreError::Failed(failure.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Failed(error.to_string())
    }
}
