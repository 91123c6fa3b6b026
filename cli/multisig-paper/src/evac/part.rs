//! The signature file while it is written: beside its place, so that a run that was stopped is gone on with.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{BufWriter, ErrorKind, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chain::KeyRole;
use evacuation::stream::{SignatureReader, SignatureWriter, StreamError, VerifiedChunk};
use tempfile::TempPath;

/// `OUT.part`.
pub(super) struct Part {
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
    pub(super) fn of(out: &Path) -> Result<Self> {
        if out.symlink_metadata().is_ok() {
            bail!("{} already exists; move it away or choose another --out", out.display());
        }
        let mut path = OsString::from(out);
        path.push(".part");
        Ok(Self { out: out.to_owned(), path: path.into(), found: None })
    }

    /// Looks for what an earlier run has left, which must be of this owner and plan.
    pub(super) fn find(&mut self, role: KeyRole, plan_header: [u8; 32]) -> Result<()> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        };
        let other = || format!("{}; move it away", self.path.display());
        let reader = match SignatureReader::open(file) {
            // Stopped before its header was whole: there is nothing to keep.
            Err(StreamError::Incomplete(_)) => return Ok(()),
            opened => opened.with_context(other)?,
        };
        reader.require(role, plan_header).with_context(other)?;
        let offset = reader.offset();
        self.found = Some(Found { reader: Some(reader), kept: 0, offset });
        Ok(())
    }

    /// Keeps what was signed of a chunk, if all of it fits; else this chunk and all after it are signed anew.
    pub(super) fn keep(&mut self, role: KeyRole, chunk: &VerifiedChunk) {
        let Some(found) = &mut self.found else { return };
        let Some(reader) = &mut found.reader else { return };
        match reader.next_chunk() {
            Ok(Some(signed)) if chunk.signatures(role, &signed).is_ok() => {
                (found.kept, found.offset) = (found.kept + 1, reader.offset());
            }
            _ => found.reader = None,
        }
    }

    /// Chunks that need no signature any more.
    pub(super) fn kept(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| found.kept)
    }

    /// After the chunks that are kept.
    pub(super) fn open(&self, role: KeyRole, plan_header: [u8; 32]) -> Result<SignatureWriter<BufWriter<File>>> {
        let place = || format!("cannot write {}", self.path.display());
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).with_context(place)?;
        let offset = self.found.as_ref().map_or(0, |found| found.offset);
        file.set_len(offset).and_then(|()| file.seek(SeekFrom::End(0))).with_context(place)?;
        let output = BufWriter::new(file);
        Ok(match &self.found {
            Some(_) => SignatureWriter::resume(output),
            None => SignatureWriter::begin(output, role, plan_header)?,
        })
    }

    /// Ends the file and gives it its name, unless somebody else took it meanwhile.
    pub(super) fn finish(self, file: SignatureWriter<BufWriter<File>>, plan: [u8; 32]) -> Result<()> {
        let place = || format!("cannot write {}", self.path.display());
        file.finish(plan)?.get_ref().sync_all().with_context(place)?;
        let mut part = TempPath::try_from_path(&self.path).with_context(place)?;
        // What was signed stays for the next run, whatever comes of this.
        part.disable_cleanup(true);
        let named = part.persist_noclobber(&self.out).map_err(|error| error.error);
        named.with_context(|| format!("cannot create {}", self.out.display()))
    }
}
