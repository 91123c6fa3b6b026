//! The files of an evacuation: each is read more than once, so what comes through a pipe is kept meanwhile.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::failure::bad_input;

/// More than the files of several million wallets.
const LARGEST: u64 = 4 << 30;

/// A file that can be read again from its beginning.
pub(super) struct Input {
    /// What people call it.
    pub(super) name: String,
    file: File,
    /// It came as it is and not through a pipe.
    pub(super) is_file: bool,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
        let (is_file, file) = opened.map_err(|error| bad_input(format!("cannot read {name}: {error}")))?;
        if is_file {
            return Ok(Self { name, file, is_file });
        }
        let kept =
            tempfile::tempfile().and_then(|mut kept| Ok((io::copy(&mut file.take(LARGEST + 1), &mut kept)?, kept)));
        let (length, file) = kept.map_err(|error| {
            bad_input(format!(
                "cannot keep {name}, which is no file, in the folder for temporary files (TMPDIR): {error}"
            ))
        })?;
        if length > LARGEST {
            return Err(bad_input(format!("{name} is longer than {} GiB; is it the right one?", LARGEST >> 30)));
        }
        Ok(Self { name, file, is_file })
    }

    /// A file that is open.
    #[cfg(test)]
    pub(super) fn of(name: &str, file: File) -> Self {
        Self { name: name.to_owned(), file, is_file: true }
    }

    /// From its beginning. Readings of one file take turns: they share its place.
    pub(super) fn again(&self) -> Result<File> {
        let again = self.file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
        again.map_err(|error| bad_input(format!("cannot read {}: {error}", self.name)))
    }

    /// Its first bytes.
    pub(super) fn begins(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.again()?.take(16).read_to_end(&mut bytes);
        read.map_err(|error| bad_input(format!("cannot read {}: {error}", self.name)))?;
        Ok(bytes)
    }

    /// Where its journal is, unless another is named.
    pub(super) fn journal(&self, path: &Path) -> Option<PathBuf> {
        let mut journal = path.as_os_str().to_owned();
        journal.push(".journal");
        self.is_file.then(|| journal.into())
    }
}
