//! Where signatures go: to standard output, or to a file that never takes the place of another and is gone on with after a
//! stop.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use chain::KeyRole;
use evacuation::stream::{SignatureWriter, SignedChunk, VerifiedChunk};
use signature_part::{Part, PartError};

use super::AdminError;

/// Where they go.
pub(crate) enum Out<W> {
    /// At once, chunk by chunk.
    Stream(W),
    /// To `FILE.part` first.
    File(PathBuf),
}

impl<W: Write> Out<W> {
    /// A document that is held as a whole.
    pub(super) fn whole(self, text: &str) -> Result<(), AdminError> {
        match self {
            Out::Stream(mut output) => {
                output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(AdminError::Output)
            }
            Out::File(path) => create(&path, text)
                .map_err(|cause| PartError::Io { what: "create", path: path.display().to_string(), cause }.into()),
        }
    }

    /// Refuses a file that exists, before any work is done.
    pub(super) fn require_new(&self) -> Result<(), AdminError> {
        match self {
            Out::Stream(_) => Ok(()),
            Out::File(path) => Ok(Part::of(path).map(drop)?),
        }
    }
}

/// All of it or nothing, and never over a file that is there.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

/// A signature file while it is written.
pub(super) struct SignatureFile<W: Write> {
    role: KeyRole,
    plan_header: [u8; 32],
    to: To<W>,
}

enum To<W: Write> {
    Stream(SignatureWriter<W>),
    File(Box<Begun>),
}

/// `FILE.part`, opened behind the chunks that are kept.
struct Begun {
    part: Part,
    file: Option<SignatureWriter<BufWriter<File>>>,
}

impl<W: Write> SignatureFile<W> {
    pub(super) fn begin(out: Out<W>, role: KeyRole, plan_header: [u8; 32]) -> Result<Self, AdminError> {
        let to = match out {
            Out::Stream(output) => To::Stream(SignatureWriter::begin(output, role, plan_header)?),
            Out::File(path) => {
                let mut part = Part::of(&path)?;
                part.find(role, plan_header)?;
                To::File(Box::new(Begun { part, file: None }))
            }
        };
        Ok(Self { role, plan_header, to })
    }

    /// Whether an earlier run has signed this chunk, and lacks the same wallets.
    pub(super) fn keeps(&mut self, chunk: &VerifiedChunk, missing: &[u32]) -> bool {
        match &mut self.to {
            To::Stream(_) => false,
            To::File(begun) => begun.part.keep(self.role, chunk, missing),
        }
    }

    pub(super) fn chunk(&mut self, signed: SignedChunk) -> Result<(), AdminError> {
        match &mut self.to {
            To::Stream(file) => Ok(file.chunk(signed)?),
            To::File(begun) => {
                let mut file = begun.opened(self.role, self.plan_header)?;
                file.chunk(signed)?;
                begun.file = Some(file);
                Ok(())
            }
        }
    }

    pub(super) fn finish(self, plan: [u8; 32]) -> Result<(), AdminError> {
        match self.to {
            To::Stream(file) => Ok(file.finish(plan).map(drop)?),
            To::File(mut begun) => {
                let file = begun.opened(self.role, self.plan_header)?;
                Ok(begun.part.finish(file, plan)?)
            }
        }
    }
}

impl Begun {
    fn opened(&mut self, role: KeyRole, plan_header: [u8; 32]) -> Result<SignatureWriter<BufWriter<File>>, PartError> {
        self.file.take().map_or_else(|| self.part.open(role, plan_header), Ok)
    }
}
