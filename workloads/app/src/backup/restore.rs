//! Opens a backup: to see that it is whole, or to put everything back. What is restored begins a new epoch.

use std::{
    fs,
    io::{self, BufReader, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use custody::{
    phrase::Phrase,
    sealed_backup::{self, OpenReader},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{
    contents::{Contents, DATABASE, is_inside},
    error::BackupError,
};
use crate::store::sqlite::recovery::{self, Inspected};

/// Puts everything into `dir`, which holds none of it yet, and begins a new epoch. What the backup holds, and the new
/// epoch.
pub(crate) fn restore(backup: &Path, phrase: &Phrase, dir: &Path) -> Result<(Contents, u64), BackupError> {
    let contents = extract(backup, phrase, dir)?;
    let epoch = recovery::begin_epoch(&dir.join(DATABASE))?;
    sync(dir)?;
    Ok((contents, epoch.0))
}

/// Opens all of it in a folder that is removed again, and looks into the database.
pub(crate) fn verify(backup: &Path, phrase: &Phrase, beside: &Path) -> Result<(Contents, Inspected), BackupError> {
    let room = tempfile::Builder::new().prefix("verify-").tempdir_in(beside);
    let room = room.map_err(|error| BackupError::File { path: beside.to_owned(), error })?;
    let contents = extract(backup, phrase, room.path())?;
    let inspected = recovery::inspect(&room.path().join(DATABASE))?;
    Ok((contents, inspected))
}

fn extract(backup: &Path, phrase: &Phrase, dir: &Path) -> Result<Contents, BackupError> {
    let failed = |path: &Path, error| BackupError::File { path: path.to_owned(), error };
    let input = fs::File::open(backup).map_err(|error| failed(backup, error))?;
    let mut reader = OpenReader::new(BufReader::new(input), sealed_backup::key(phrase))?;
    let contents = Contents::read(&mut reader)?;
    let named = |name: &str| contents.files.iter().any(|entry| entry.name == name);
    if !named(DATABASE) || contents.files.iter().any(|entry| !is_inside(&entry.name)) {
        return Err(BackupError::Contents("its list lacks the database, or names a file outside".to_owned()));
    }
    // All of them first: nothing is half written over something.
    for entry in &contents.files {
        if dir.join(&entry.name).symlink_metadata().is_ok() {
            return Err(BackupError::Exists(dir.join(&entry.name)));
        }
    }
    for entry in &contents.files {
        let path = dir.join(&entry.name);
        if let Some(folder) = path.parent() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| failed(folder, error))?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut out = Hashed { file: file.map_err(|error| failed(&path, error))?, digest: Sha256::new() };
        let written = io::copy(&mut reader.by_ref().take(entry.bytes), &mut out)?;
        out.file.sync_all()?;
        if written != entry.bytes || HEXLOWER.encode(&out.digest.finalize()) != entry.sha256 {
            return Err(BackupError::Altered { name: entry.name.clone() });
        }
    }
    // The last box tells that nothing was cut off.
    if reader.read(&mut [0])? != 0 {
        return Err(BackupError::Contents("there is more in it than its list says".to_owned()));
    }
    Ok(contents)
}

struct Hashed {
    file: fs::File,
    digest: Sha256,
}

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn sync(dir: &Path) -> Result<(), BackupError> {
    Ok(fs::File::open(dir)?.sync_all()?)
}
