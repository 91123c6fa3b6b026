//! Why nothing was read or written.

use database::Failure;

/// What a writer without the store key is told, where there is one.
pub(super) const KEYLESS: &str = "StoreKeyNeeded";

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
    /// Somebody else than the signer has written to the volume.
    #[error(
        "StoreTampered: the volume was written to by somebody else than this signer: {0}. Nothing is signed with it; see \
         docs/runbooks/tampered.md"
    )]
    Tampered(String),
    /// Rows that only a holder of the store key writes.
    #[error(
        "StoreKeyNeeded: the rows of this store are authenticated, and its key was not opened; the Vault has to answer"
    )]
    Keyless,
    /// SQLite failed; nothing of this step was kept.
    #[error("the store failed: {0}; check the volume's free space and health")]
    Failed(String),
    /// A window is new to the store, and what was signed before it is not counted yet.
    #[error("what was paid is still being counted for a window that is new to this signer; ask again in a moment")]
    WindowBuilding,
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
            Failure::Refused(why) => match why.downcast_ref::<StoreError>() {
                Some(error) => error.clone(),
                None => StoreError::Failed(why.to_string()),
            },
            Failure::Failed(_) | Failure::GivenUp | Failure::NoThread(_) => StoreError::Failed(failure.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(_, Some(words)) = &error
            && words == KEYLESS
        {
            return StoreError::Keyless;
        }
        StoreError::Failed(error.to_string())
    }
}
