//! The export: JSON lines, first a header, then a record a line. Every line has one form, so that no byte of the file
//! can be changed without a change of meaning.

use std::io::{self, BufRead, Read, Write};

use chain::hex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::record::{self, Head, Record, printable};

/// What the header says the file is.
pub const FORMAT: &str = "multisig-audit";
/// The only version that is read and written.
pub const VERSION: u32 = 1;
/// Longest line without its end; [`record::MAX_FIELD_BYTES`] keeps every record below it.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Why a file is not an export that this build reads. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not even a header.
    #[error("the file is empty; an audit export starts with a header")]
    Empty,
    /// Some other file.
    #[error("the first line is not the header of an audit export; use the output of the signer's `audit export`")]
    Format,
    /// Made by another version of the tools.
    #[error("the export has version {0}, this build reads version {VERSION} only; use the tools that made it")]
    Version(u64),
    /// Longer than any record can be.
    #[error("line {0} is longer than {MAX_LINE_BYTES} bytes; no signer writes such a record")]
    LineTooLong(u64),
    /// The end of the line is missing.
    #[error("line {0} has no end: the file was cut; get it again from the signer")]
    Cut(u64),
    /// Not the JSON expected.
    #[error("line {line} is malformed: {why}")]
    Malformed {
        /// Which line.
        line: u64,
        /// Of the parser.
        why: String,
    },
    /// Right in meaning, yet not as a signer writes it.
    #[error("line {0} is not in the form that signers write: a field is unknown or repeated, or there are blanks")]
    NotExact(u64),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// 16 bytes; empty before the signer serves a custody.
    #[serde(with = "hex")]
    pub custody_id: Vec<u8>,
    /// The signer: `keeper` or `cooler`.
    pub role: String,
    /// The head of the whole chain.
    pub head: Head,
    /// The newest head that the signer has signed, which may be an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<HeadAttestation>,
}

impl Header {
    /// Of a chain with this head.
    pub fn new(role: impl Into<String>, custody_id: Vec<u8>, head: Head) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, custody_id, role: role.into(), head, attestation: None }
    }
}

/// A signer's signed statement of its head, as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeadAttestation {
    /// The statement's exact bytes.
    #[serde(with = "hex")]
    pub body: Vec<u8>,
    /// ed25519 public key of the signer, 32 bytes.
    #[serde(with = "hex")]
    pub signer: Vec<u8>,
    /// 64 bytes.
    #[serde(with = "hex")]
    pub signature: Vec<u8>,
}

/// A record and the hash that the file states for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// As stated; [`crate::verify`] computes it anew.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
}

impl From<Record> for Line {
    fn from(record: Record) -> Self {
        let hash = record::hash(&record);
        Self { record, hash }
    }
}

/// An export in memory: read, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The first line.
    pub header: Header,
    /// The records in the order of the file.
    pub lines: Vec<Line>,
}

/// Reads a header, then a record at a time; ends at the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    /// Lines read so far.
    lines: u64,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(mut input: R) -> Result<Self, AuditError> {
        let header = read_header(&mut input)?;
        Ok(Self { input, header, lines: 1, ended: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn line(&mut self) -> Result<Option<Line>, AuditError> {
        self.lines += 1;
        let Some(text) = next_line(&mut self.input, self.lines)? else { return Ok(None) };
        let line: Line = exact(&text, self.lines)?;
        if line.record.texts().iter().any(|text| !text.chars().all(printable)) {
            return Err(AuditError::Malformed { line: self.lines, why: "a text is not printable ASCII".to_owned() });
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Line, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.line().transpose();
        self.ended = !matches!(line, Some(Ok(_)));
        line
    }
}

/// Reads a whole export.
pub fn read(input: impl BufRead) -> Result<Export, AuditError> {
    let reader = Reader::new(input)?;
    let header = reader.header().clone();
    Ok(Export { header, lines: reader.collect::<Result<_, _>>()? })
}

/// Reads the first line only: of an export, or a header that was kept alone to remember the head.
pub fn read_header(mut input: impl BufRead) -> Result<Header, AuditError> {
    /// The version is read first, so that a newer file is called newer and not malformed.
    #[derive(Deserialize)]
    struct Versioned {
        format: String,
        version: u64,
    }
    let text = next_line(&mut input, 1)?.ok_or(AuditError::Empty)?;
    match serde_json::from_str(&text) {
        Ok(Versioned { format, version }) if format == FORMAT => {
            if version != u64::from(VERSION) {
                return Err(AuditError::Version(version));
            }
        }
        _ => return Err(AuditError::Format),
    }
    let header: Header = exact(&text, 1)?;
    if !["keeper", "cooler"].contains(&header.role.as_str()) {
        return Err(AuditError::Malformed { line: 1, why: "the role is neither keeper nor cooler".to_owned() });
    }
    Ok(header)
}

/// Writes an export; the records may come from a store one at a time, whose error ends the writing.
pub fn write<E: From<io::Error>>(
    output: &mut impl Write,
    header: &Header,
    records: impl IntoIterator<Item = Result<Record, E>>,
) -> Result<(), E> {
    write_line(output, header)?;
    for record in records {
        write_line(output, &Line::from(record?))?;
    }
    Ok(())
}

fn write_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

fn next_line(input: &mut impl BufRead, number: u64) -> Result<Option<String>, AuditError> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
    match bytes.pop() {
        None => Ok(None),
        Some(b'\n') => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| AuditError::Malformed { line: number, why: "it is not UTF-8".to_owned() }),
        Some(_) if bytes.len() == MAX_LINE_BYTES => Err(AuditError::LineTooLong(number)),
        Some(_) => Err(AuditError::Cut(number)),
    }
}

fn exact<T: Serialize + DeserializeOwned>(text: &str, line: u64) -> Result<T, AuditError> {
    let malformed = |error: serde_json::Error| AuditError::Malformed { line, why: record::text(&error.to_string()) };
    let value = serde_json::from_str(text).map_err(malformed)?;
    let again = serde_json::to_string(&value).map_err(malformed)?;
    if again == text { Ok(value) } else { Err(AuditError::NotExact(line)) }
}
