//! A backup on its way to wherever it is kept: sealed to an XKey whose private half is on paper only, in a stream, so
//! that it may be larger than memory.
//!
//! A stream is one line of JSON, which names the keys, and then boxes, each after its length as a big-endian u32. A box
//! is a NATS XKey box (`xkv1`: X25519, XSalsa20-Poly1305) from a key made for this one stream. Inside, before at most a
//! MiB of content, stand the purpose, the box's number and whether it is the last, so that none can be left out, moved,
//! added or taken from another stream. Who sealed it is not said: whoever restores a backup has to know where it was
//! kept.

use std::io::{self, BufRead, Read, Write};

use nkeys::XKey;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::phrase::Phrase;

/// Version of the stream that this build reads and writes.
pub const VERSION: u32 = 1;

const FORMAT: &str = "multisig-backup";
const PURPOSE: &[u8; 16] = b"multisig.backup1";
const HEADER_BYTES: usize = 16 + 8 + 1;
/// Content of a box. Tests make many of them.
const CHUNK: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Longest box: content, header, the box's own version, nonce and tag.
const MAX_BOX: usize = CHUNK + HEADER_BYTES + 4 + 24 + 16;
/// Longest first line.
const MAX_LINE: u64 = 1024;

/// The first line. Nothing in it is secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: String,
    version: u32,
    recipient: String,
    sender: String,
}

/// Why a backup was not sealed or does not open.
#[derive(Debug, thiserror::Error)]
pub enum BackupSealError {
    /// Not an `X...` key.
    #[error("'{0}' is not an XKey; expected the X... key that `multisig-paper backup key` printed")]
    XKey(String),
    /// Another kind of file.
    #[error("this is not a sealed backup of version {VERSION}")]
    Format,
    /// Another phrase.
    #[error("this backup is sealed to {recipient}, and the phrase's key is {own}; type the phrase of that key")]
    NotForThisKey {
        /// Named in the file.
        recipient: String,
        /// Of the phrase.
        own: String,
    },
    /// Changed, cut off, or put together from several.
    #[error("this backup is damaged at box {0}; take another copy of it")]
    Damaged(u64),
    /// The box can't be made.
    #[error("sealing failed: {0}")]
    Seal(String),
}

impl From<BackupSealError> for io::Error {
    fn from(error: BackupSealError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// The XKey of a backup phrase: its private half is nowhere but in the words.
pub fn key(phrase: &Phrase) -> XKey {
    XKey::new_from_raw(*phrase.keys().backup())
}

/// The recipient `text`, if it is an XKey.
pub fn recipient(text: &str) -> Result<XKey, BackupSealError> {
    XKey::from_public_key(text).map_err(|_| BackupSealError::XKey(text.to_owned()))
}

/// What is written is sealed; nothing is complete before [`SealWriter::finish`].
pub struct SealWriter<W, R> {
    out: W,
    rng: R,
    sender: XKey,
    recipient: XKey,
    number: u64,
    /// Header and content of the next box; the full size at once, so that no copies are left behind.
    inner: Zeroizing<Vec<u8>>,
}

impl<W: Write, R: CryptoRngCore> SealWriter<W, R> {
    /// To the XKey `to`. `rng` is the operating system's outside tests.
    pub fn new(mut out: W, to: &str, mut rng: R) -> io::Result<Self> {
        let recipient = recipient(to)?;
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        let sender = XKey::new_from_raw(*seed);
        let (format, version) = (FORMAT.to_owned(), VERSION);
        let line = Line { format, version, recipient: recipient.public_key(), sender: sender.public_key() };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
        let inner = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + CHUNK));
        let mut writer = Self { out, rng, sender, recipient, number: 0, inner };
        writer.begin();
        Ok(writer)
    }

    /// Writes the last box; the stream is complete.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin(&mut self) {
        self.inner.zeroize();
        self.inner.extend_from_slice(PURPOSE);
        self.inner.extend_from_slice(&self.number.to_be_bytes());
        self.inner.push(0);
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.inner[HEADER_BYTES - 1] = u8::from(last);
        let sealed = self.sender.seal_with_rand(&self.inner, &self.recipient, &mut self.rng);
        let sealed = sealed.map_err(|error| BackupSealError::Seal(error.to_string()))?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.number += 1;
        self.begin();
        Ok(())
    }
}

impl<W: Write, R: CryptoRngCore> Write for SealWriter<W, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(HEADER_BYTES + CHUNK - self.inner.len());
        self.inner.extend_from_slice(&bytes[..taken]);
        if self.inner.len() == HEADER_BYTES + CHUNK {
            self.seal(false)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads what was sealed; fails where anything of it was changed, and at the end if the last box is missing.
pub struct OpenReader<R> {
    input: R,
    key: XKey,
    sender: XKey,
    number: u64,
    last: bool,
    opened: Zeroizing<Vec<u8>>,
    taken: usize,
}

impl<R: BufRead> OpenReader<R> {
    /// With the private half `key` ([`key`]).
    pub fn new(mut input: R, key: XKey) -> Result<Self, BackupSealError> {
        let mut line = Vec::new();
        input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|_| BackupSealError::Format)?;
        let line: Line = serde_json::from_slice(&line).map_err(|_| BackupSealError::Format)?;
        if line.format != FORMAT || line.version != VERSION {
            return Err(BackupSealError::Format);
        }
        if line.recipient != key.public_key() {
            return Err(BackupSealError::NotForThisKey { recipient: line.recipient, own: key.public_key() });
        }
        let sender = recipient(&line.sender)?;
        Ok(Self { input, key, sender, number: 0, last: false, opened: Zeroizing::default(), taken: 0 })
    }

    fn open(&mut self) -> io::Result<()> {
        let damaged = || BackupSealError::Damaged(self.number);
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(|_| damaged())?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_BOX {
            return Err(damaged().into());
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed).map_err(|_| damaged())?;
        let opened = Zeroizing::new(self.key.open(&sealed, &self.sender).map_err(|_| damaged())?);
        let header = opened.get(..HEADER_BYTES).ok_or_else(damaged)?;
        let in_order = header[..16] == *PURPOSE && header[16..24] == self.number.to_be_bytes();
        self.last = match (in_order, header[24]) {
            (true, 0) => false,
            (true, 1) => true,
            _ => return Err(damaged().into()),
        };
        if self.last && !self.input.fill_buf()?.is_empty() {
            return Err(BackupSealError::Damaged(self.number + 1).into());
        }
        (self.opened, self.taken) = (opened, HEADER_BYTES);
        self.number += 1;
        Ok(())
    }
}

impl<R: BufRead> Read for OpenReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.opened.len() {
            if self.last {
                return Ok(0);
            }
            self.open()?;
        }
        let taken = into.len().min(self.opened.len() - self.taken);
        into[..taken].copy_from_slice(&self.opened[self.taken..self.taken + taken]);
        self.taken += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use rand_core::OsRng;

    use super::*;

    /// Of two phrases; each is stretched once.
    fn key(byte: u8) -> XKey {
        static SEEDS: LazyLock<[[u8; 32]; 2]> =
            LazyLock::new(|| [1, 2].map(|byte| *Phrase::from_entropy(&[byte; 32]).unwrap().keys().backup()));
        XKey::new_from_raw(SEEDS[usize::from(byte) - 1])
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut writer = SealWriter::new(Vec::new(), &key(1).public_key(), OsRng).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        OpenReader::new(sealed, key(1))?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn the_phrase_opens_what_was_sealed_to_its_key_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let sealed = sealed(&content);
            assert!(opened(&sealed).unwrap() == content, "{length}");
            assert!(!sealed.windows(64).any(|window| content.len() > 64 && content.starts_with(window)));
        }
    }

    #[test]
    fn a_phrase_has_one_key() {
        let phrase = Phrase::from_entropy(&[1; 32]).unwrap();
        assert_eq!(super::key(&phrase).public_key(), key(1).public_key());
    }

    #[test]
    fn another_phrase_opens_nothing_and_says_whose_it_is() {
        let refused = OpenReader::new(sealed(b"x").as_slice(), key(2)).err().unwrap();
        assert!(refused.to_string().contains(&key(1).public_key()), "{refused}");
        assert!(matches!(OpenReader::new(&b"{}\n"[..], key(1)), Err(BackupSealError::Format)));
        let bad = SealWriter::new(Vec::new(), "XNOKEY", OsRng).err().unwrap();
        assert!(bad.to_string().contains("'XNOKEY' is not an XKey"), "{bad}");
    }

    #[test]
    fn nothing_is_changed_left_out_moved_or_added_unseen() {
        let (content, other) = (vec![7; 2 * CHUNK + 1], sealed(&vec![8; 2 * CHUNK + 1]));
        let good = sealed(&content);
        let start = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let full = 4 + MAX_BOX;
        let (first, second, last) = (start..start + full, start + full..start + 2 * full, start + 2 * full..good.len());
        let part = |range: &std::ops::Range<usize>| &good[range.clone()];
        let line = &good[..start];
        for bad in [
            [line, part(&first), part(&second)].concat(),
            [line, part(&first), part(&last)].concat(),
            [line, part(&second), part(&first), part(&last)].concat(),
            [line, part(&first), part(&second), part(&last), part(&last)].concat(),
            [line, part(&first), &other[second.clone()], part(&last)].concat(),
            good[..good.len() - 1].to_vec(),
            line.to_vec(),
        ] {
            assert!(opened(&bad).unwrap_err().to_string().contains("damaged"));
        }
        for at in [start + 5, start + full / 2, good.len() - 1] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(opened(&changed).unwrap_err().to_string().contains("damaged"));
        }
    }
}
