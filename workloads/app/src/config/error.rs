//! Why a configuration is refused.

use std::path::{Path, PathBuf};

use custody::manifest::ManifestError;

use crate::{callers::CallersError, tls::TlsError};

/// Why App doesn't start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("can't read {}: {error}; check the path in the configuration and the file's owner", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: {error}", path.display())]
    Encoding { path: PathBuf, error: std::io::Error },
    #[error("malformed configuration {}: {error}", path.display())]
    Malformed { path: PathBuf, error: serde_json::Error },
    #[error("invalid configuration: {0}")]
    Invalid(String),
    #[error("{}: {error}", path.display())]
    Manifest { path: PathBuf, error: ManifestError },
    #[error(transparent)]
    Callers(#[from] CallersError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ConfigError {
    /// `path` can't be read.
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::InvalidData => Self::Encoding { path, error },
            _ => Self::Read { path, error },
        }
    }
}

/// The configuration says something that can't be.
pub(super) fn invalid<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid(message.into()))
}
