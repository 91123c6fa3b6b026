//! Makes a backup while App runs, or does not: the database is copied in one moment, and everything is sealed.

use std::{
    fs,
    io::{self, BufWriter, Read, Seek},
    path::{Path, PathBuf},
};

use custody::{CustodyId, sealed_backup::SealWriter};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rand_core::OsRng;
use sha2::{Digest, Sha256};

use super::{
    contents::{Contents, DATABASE, Entry, FORMAT, VERSION},
    error::BackupError,
};
use crate::{identity, store::Recovery};

/// What is kept beside the database.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    pub(crate) custody: CustodyId,
    pub(crate) identity_dir: PathBuf,
    /// The first is the one that was always there.
    pub(crate) relayer_keys: Vec<PathBuf>,
}

impl Secrets {
    /// Name in the backup, and where it is.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let own = identity::FILES.map(|file| (format!("identity/{file}"), self.identity_dir.join(file)));
        let keys = self.relayer_keys.iter().enumerate().map(|(place, path)| match place {
            0 => ("relayer.key".to_owned(), path.clone()),
            _ => (format!("relayer-{}.key", place + 1), path.clone()),
        });
        own.into_iter().chain(keys).collect()
    }
}

/// A copy that is removed when it has served.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, file = %self.0.display(), "a copy of the database could not be removed");
        }
    }
}

/// Writes a backup sealed to `to` into the new file `out`. `data_dir` holds a copy of the database for a moment: it is no
/// less private than the database beside it.
pub(crate) async fn make(
    store: &dyn Recovery,
    secrets: &Secrets,
    data_dir: &Path,
    to: &str,
    out: &Path,
) -> Result<Contents, BackupError> {
    let epoch = store.epoch().await?.0;
    let copy = Temporary(data_dir.join(format!("backup-{}.part", Timestamp::now().as_nanosecond())));
    store.copy_to(&copy.0).await?;
    let (secrets, to, out) = (secrets.clone(), to.to_owned(), out.to_owned());
    let sealed = tokio::task::spawn_blocking(move || seal(&secrets, &copy.0, epoch, &to, &out));
    sealed.await.map_err(|_| BackupError::Stopped)?
}

fn seal(secrets: &Secrets, database: &Path, epoch: u64, to: &str, out: &Path) -> Result<Contents, BackupError> {
    let mut files = vec![(DATABASE.to_owned(), database.to_owned())];
    files.extend(secrets.files());
    let mut opened = Vec::new();
    let mut entries = Vec::new();
    for (name, path) in files {
        let mut file = fs::File::open(&path).map_err(|error| BackupError::File { path, error })?;
        let mut digest = Sha256::new();
        let bytes = io::copy(&mut file, &mut digest)?;
        file.rewind()?;
        entries.push(Entry { name, bytes, sha256: HEXLOWER.encode(&digest.finalize()) });
        opened.push(file);
    }
    let (format, made_at) = (FORMAT.to_owned(), Timestamp::now());
    let contents = Contents { format, version: VERSION, custody_id: secrets.custody, epoch, made_at, files: entries };
    // The name appears only when everything is on the disk, and takes no other file's place.
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = tempfile::Builder::new().prefix("backup-").suffix(".part").tempfile_in(folder);
    let part = part.map_err(|error| BackupError::File { path: folder.to_owned(), error })?;
    let mut writer = SealWriter::new(BufWriter::new(part), to, OsRng)?;
    contents.write(&mut writer)?;
    for (file, entry) in opened.into_iter().zip(&contents.files) {
        if io::copy(&mut file.take(entry.bytes), &mut writer)? != entry.bytes {
            return Err(BackupError::Altered { name: entry.name.clone() });
        }
    }
    let part = writer.finish()?.into_inner().map_err(|error| error.into_error())?;
    part.as_file().sync_all()?;
    part.persist_noclobber(out).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(out.to_owned()),
        _ => BackupError::File { path: out.to_owned(), error: error.error },
    })?;
    fs::File::open(folder)?.sync_all()?;
    Ok(contents)
}
