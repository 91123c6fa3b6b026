//! Why a database can't be used.

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("can't open the database's file: {0}; check dataDir in the configuration and its owner")]
    File(std::io::Error),
    #[error("database: {0}")]
    Database(database::Failure),
    #[error("the database in {0} is in use by another process; only one App may run on a volume")]
    InUse(String),
    #[error(
        "the database has version {found}, this build reads versions up to {newest}; run the version that wrote it"
    )]
    UnknownVersion { found: i64, newest: i64 },
    /// What is stored is not what App writes.
    #[error("the database is damaged: {row}: {column}: {why}; restore a backup, or run the version that wrote it")]
    Damaged {
        /// Which row, by its key.
        row: String,
        column: &'static str,
        why: String,
    },
    #[error("the database's thread ended early; see App's log and start it again")]
    Stopped,
}
