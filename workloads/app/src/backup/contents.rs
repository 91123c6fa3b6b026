//! What is in a backup.

use std::io::{self, Read, Write};

use custody::CustodyId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::BackupError;

pub(super) const FORMAT: &str = "multisig-app";
pub(super) const VERSION: u32 = 1;
/// The database's name.
pub(super) const DATABASE: &str = "app.sqlite";
/// Longest list, bytes.
const LONGEST: u32 = 64 << 10;

/// The list of contents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Contents {
    pub(super) format: String,
    pub(super) version: u32,
    /// Whose App it is.
    pub(crate) custody_id: CustodyId,
    /// The database's epoch.
    pub(crate) epoch: u64,
    pub(crate) made_at: Timestamp,
    pub(crate) files: Vec<Entry>,
}

/// A file in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Relative; folders by `/`.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Lower-case hex.
    pub(crate) sha256: String,
}

impl Contents {
    pub(super) fn write(&self, out: &mut impl Write) -> Result<(), BackupError> {
        let json = serde_json::to_vec(self).map_err(io::Error::from)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_be_bytes())?;
        Ok(out.write_all(&json)?)
    }

    pub(super) fn read(input: &mut impl Read) -> Result<Self, BackupError> {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            return Err(BackupError::Contents("its list is too long".to_owned()));
        }
        let mut json = Vec::new();
        input.take(length.into()).read_to_end(&mut json)?;
        let contents: Self = serde_json::from_slice(&json).map_err(|error| BackupError::Contents(error.to_string()))?;
        if contents.format != FORMAT || contents.version != VERSION {
            let message = format!("{} of version {}", contents.format, contents.version);
            return Err(BackupError::Contents(message));
        }
        Ok(contents)
    }
}

/// Whether a name from a list stays below the folder that it is restored to.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_its_folder() {
        for good in ["app.sqlite", "identity/nats.seed"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
