//! What can go wrong with a backup.

use std::{io, path::PathBuf};

use custody::sealed_backup::BackupSealError;

use crate::store::StoreError;

/// Why there is no backup, or it is not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Seal(#[from] BackupSealError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this is not a backup of App that this build reads: {0}")]
    Contents(String),
    #[error("{} is there already; nothing was written over it. Choose another place, or move it away", .0.display())]
    Exists(PathBuf),
    #[error("{name} is not what the backup's list says; take another copy of the backup")]
    Altered { name: String },
    #[error("the running App refuses: {0}")]
    Running(String),
    #[error("the task ended early")]
    Stopped,
}
