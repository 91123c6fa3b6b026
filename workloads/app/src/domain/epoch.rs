//! The lives of a database.

/// A database begins a new epoch each time it is restored from a backup: what happened after the backup is lost to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u64);
