//! The signature file while it is written: beside its place, so that a run that was stopped is gone on with. For paper
//! stations and signers alike.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use chain::KeyRole;
use evacuation::stream::{SignatureReader, SignatureWriter, StreamError, VerifiedChunk};
use tempfile::TempPath;

/// Why a signature file is not written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The name is taken.
    #[error("{0} already exists; move it away or choose another --out")]
    Exists(String),
    /// What is there is of something else.
    #[error("{path}; move it away: {source}")]
    Foreign {
        /// `OUT.part`.
        path: String,
        /// What it is.
        source: Box<StreamError>,
    },
    /// The system did not do it.
    #[error("cannot {what} {path}: {cause}")]
    Io {
        /// Read, write or create.
        what: &'static str,
        /// Which file.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
    /// The signatures were not written.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// `OUT.part`.
pub struct Part {
    out: PathBuf,
    path: PathBuf,
    found: Option<Found>,
}

/// What an earlier run has left.
struct Found {
    /// Until its chunks end, or one does not fit.
    reader: Option<SignatureReader<File>>,
    /// Chunks that fit.
    kept: u64,
    /// Where they end, bytes.
    offset: u64,
}

impl Part {
    /// Refuses a name that exists, before any work is done.
    pub fn of(out: &Path) -> Result<Self, PartError> {
        if out.symlink_metadata().is_ok() {
            return Err(PartError::Exists(out.display().to_string()));
        }
        let mut path = OsString::from(out);
        path.push(".part");
        Ok(Self { out: out.to_owned(), path: path.into(), found: None })
    }

    /// Looks for what an earlier run has left, which must be of this owner and plan.
    pub fn find(&mut self, role: KeyRole, plan_header: [u8; 32]) -> Result<(), PartError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(self.io("read", cause)),
        };
        let foreign = |source| PartError::Foreign { path: self.path.display().to_string(), source: Box::new(source) };
        let reader = match SignatureReader::open(file) {
            // Stopped before its header was whole: there is nothing to keep.
            Err(StreamError::Incomplete(_)) => return Ok(()),
            opened => opened.map_err(foreign)?,
        };
        reader.require(role, plan_header).map_err(foreign)?;
        let offset = reader.offset();
        self.found = Some(Found { reader: Some(reader), kept: 0, offset });
        Ok(())
    }

    /// Keeps what was signed of a chunk, if all of it fits and it lacks the wallets at these places alone; else this chunk
    /// and all after it are signed anew. True: it is kept.
    pub fn keep(&mut self, role: KeyRole, chunk: &VerifiedChunk, missing: &[u32]) -> bool {
        let Some(found) = &mut self.found else { return false };
        let Some(reader) = &mut found.reader else { return false };
        match reader.next_chunk() {
            Ok(Some(signed)) if signed.missing == missing && chunk.signatures(role, &signed).is_ok() => {
                (found.kept, found.offset) = (found.kept + 1, reader.offset());
                true
            }
            _ => {
                found.reader = None;
                false
            }
        }
    }

    /// Chunks that need no signature any more.
    pub fn kept(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| found.kept)
    }

    /// After the chunks that are kept.
    pub fn open(&self, role: KeyRole, plan_header: [u8; 32]) -> Result<SignatureWriter<BufWriter<File>>, PartError> {
        let place = |cause| self.io("write", cause);
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).map_err(place)?;
        let offset = self.found.as_ref().map_or(0, |found| found.offset);
        file.set_len(offset).and_then(|()| file.seek(SeekFrom::End(0))).map_err(place)?;
        let output = BufWriter::new(file);
        Ok(match &self.found {
            Some(_) => SignatureWriter::resume(output),
            None => SignatureWriter::begin(output, role, plan_header)?,
        })
    }

    /// Ends the file and gives it its name, unless somebody else took it meanwhile.
    pub fn finish(self, file: SignatureWriter<BufWriter<File>>, plan: [u8; 32]) -> Result<(), PartError> {
        let place = |cause| self.io("write", cause);
        file.finish(plan)?.get_ref().sync_all().map_err(place)?;
        let mut part = TempPath::try_from_path(&self.path).map_err(place)?;
        // What was signed stays for the next run, whatever comes of this.
        part.disable_cleanup(true);
        let create = |cause| PartError::Io { what: "create", path: self.out.display().to_string(), cause };
        part.persist_noclobber(&self.out).map_err(|error| create(error.error))
    }

    fn io(&self, what: &'static str, cause: io::Error) -> PartError {
        PartError::Io { what, path: self.path.display().to_string(), cause }
    }
}
