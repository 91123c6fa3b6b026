//! A title line, then messages with their lengths, hashed as they pass.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use prost::Message;
use sha2::{Digest, Sha256};

use super::{STREAM_VERSION, StreamError};

/// What every title begins with.
pub(crate) const TITLE: &str = "multisig evacuation ";
/// Longest title line, bytes.
const LONGEST_TITLE: u64 = 80;
/// Largest message, bytes: a full chunk of signatures is half of it.
const LARGEST: u64 = 4 << 20;

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// Reads messages one after the other.
pub(crate) struct FrameReader<R> {
    what: &'static str,
    input: BufReader<R>,
    hash: Sha256,
    /// Bytes up to the end of the last whole message.
    offset: u64,
}

impl<R: Read> FrameReader<R> {
    /// Reads the title line; `what` is what has to be in it.
    pub(crate) fn open(what: &'static str, input: R) -> Result<Self, StreamError> {
        let mut reader = Self { what, input: BufReader::new(input), hash: Sha256::new(), offset: 0 };
        let mut title = Vec::new();
        let limited = reader.input.by_ref().take(LONGEST_TITLE).read_until(b'\n', &mut title);
        limited.map_err(|cause| StreamError::Read { what, cause })?;
        reader.passed(&title);
        let said = std::str::from_utf8(&title).ok().and_then(|title| title.strip_suffix('\n'));
        let said = said.and_then(|title| title.strip_prefix(TITLE)).and_then(|title| title.strip_prefix(what));
        match said.map(|version| version.trim().parse()) {
            Some(Ok(STREAM_VERSION)) if title == title_line(what) => Ok(reader),
            Some(Ok(version)) if version != STREAM_VERSION => Err(StreamError::UnknownVersion { what, version }),
            _ => Err(StreamError::malformed(what, format!("its first line is not \"{TITLE}{what} {STREAM_VERSION}\""))),
        }
    }

    /// The next message and the SHA-256 of its bytes. `None`: the end.
    pub(crate) fn next<M: Message + Default>(&mut self) -> Result<Option<(M, Hash)>, StreamError> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        let what = self.what;
        let message = M::decode(bytes.as_slice()).map_err(|error| StreamError::malformed(what, error.to_string()))?;
        // One message has one encoding, and nothing is in it that this build does not know.
        if message.encode_to_vec() != bytes {
            return Err(StreamError::malformed(what, "a message is not in its only encoding"));
        }
        Ok(Some((message, Sha256::digest(&bytes).into())))
    }

    /// Bytes up to the end of the last whole message.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// SHA-256 of all that was read.
    pub(crate) fn hash(&self) -> Hash {
        self.hash.clone().finalize().into()
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let Some(length) = self.length()? else { return Ok(None) };
        if length > LARGEST {
            return Err(StreamError::malformed(self.what, format!("a message of {length} bytes; at most {LARGEST}")));
        }
        let mut bytes = Vec::new();
        let what = self.what;
        let read = self.input.by_ref().take(length).read_to_end(&mut bytes);
        if (read.map_err(|cause| StreamError::Read { what, cause })? as u64) < length {
            return Err(StreamError::Incomplete(what));
        }
        self.passed(&prefix(length));
        self.passed(&bytes);
        Ok(Some(bytes))
    }

    /// A varint in its shortest form, of at most four bytes.
    fn length(&mut self) -> Result<Option<u64>, StreamError> {
        let (what, mut length, mut read) = (self.what, 0u64, Vec::new());
        loop {
            let Some(byte) = self.byte()? else {
                return if read.is_empty() { Ok(None) } else { Err(StreamError::Incomplete(what)) };
            };
            length |= u64::from(byte & 0x7f) << (7 * read.len());
            read.push(byte);
            if byte & 0x80 == 0 && read == prefix(length) {
                return Ok(Some(length));
            }
            if byte & 0x80 == 0 || read.len() == 4 {
                return Err(StreamError::malformed(what, "the length of a message is not one"));
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, StreamError> {
        let mut byte = [0];
        match self.input.read_exact(&mut byte) {
            Ok(()) => Ok(Some(byte[0])),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(cause) => Err(StreamError::Read { what: self.what, cause }),
        }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
    }
}

/// Writes messages one after the other.
pub(crate) struct FrameWriter<W> {
    what: &'static str,
    output: W,
    hash: Sha256,
}

impl<W: Write> FrameWriter<W> {
    /// Writes the title line.
    pub(crate) fn begin(what: &'static str, output: W) -> Result<Self, StreamError> {
        let mut writer = Self::resume(what, output);
        writer.put(&title_line(what))?;
        Ok(writer)
    }

    /// Goes on after what is there; the hash is then not that of the whole.
    pub(crate) fn resume(what: &'static str, output: W) -> Self {
        Self { what, output, hash: Sha256::new() }
    }

    /// The SHA-256 of the message's bytes.
    pub(crate) fn put_message(&mut self, message: &impl Message) -> Result<Hash, StreamError> {
        let bytes = message.encode_to_vec();
        self.put(&prefix(bytes.len() as u64))?;
        self.put(&bytes)?;
        Ok(Sha256::digest(&bytes).into())
    }

    /// All of it is handed on. The output, and the SHA-256 of what was written to it.
    pub(crate) fn finish(mut self) -> Result<(W, Hash), StreamError> {
        let flushed = self.output.flush();
        flushed.map_err(|cause| self.failed(cause))?;
        Ok((self.output, self.hash.finalize().into()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.hash.update(bytes);
        let written = self.output.write_all(bytes);
        written.map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> StreamError {
        StreamError::Write { what: self.what, cause }
    }
}

fn title_line(what: &str) -> Vec<u8> {
    format!("{TITLE}{what} {STREAM_VERSION}\n").into_bytes()
}

fn prefix(length: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4);
    prost::encoding::encode_varint(length, &mut bytes);
    bytes
}
