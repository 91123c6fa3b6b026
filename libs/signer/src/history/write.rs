//! The file, written item by item: whoever writes it holds one. The document is JSON; the line after it is the signature.

use std::io::{self, Write};

use custody::{CustodyId, Role};
use ed25519_dalek::SigningKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{FORMAT, VERSION, signature};

/// Writes what [`super::History::parse`] reads.
pub struct HistoryWriter<W> {
    output: W,
    /// Of all that was written.
    digest: Sha256,
    list_is_open: bool,
    separator: &'static str,
}

/// All but the lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Beginning {
    format: &'static str,
    version: u32,
    custody_id: String,
    role: Role,
}

impl<W: Write> HistoryWriter<W> {
    /// Whose it is.
    pub fn begin(output: W, custody: CustodyId, role: Role) -> io::Result<Self> {
        let beginning = Beginning { format: FORMAT, version: VERSION, custody_id: custody.to_string(), role };
        let beginning = serde_json::to_string(&beginning)?;
        let mut file = Self { output, digest: Sha256::new(), list_is_open: false, separator: "" };
        // An object that stays open.
        file.write(beginning.strip_suffix('}').unwrap_or_default().as_bytes())?;
        Ok(file)
    }

    /// Ends the present list and begins the next.
    pub fn list(&mut self, name: &str) -> io::Result<()> {
        let end = if self.list_is_open { "\n]" } else { "" };
        (self.list_is_open, self.separator) = (true, "\n");
        self.write(format!("{end},\n\"{name}\":[").as_bytes())
    }

    /// One more item of the present list.
    pub fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        let item = serde_json::to_string(item)?;
        self.write(self.separator.as_bytes())?;
        self.separator = ",\n";
        self.write(item.as_bytes())
    }

    /// Ends the document, and signs its exact bytes where there is a key.
    pub fn finish(mut self, key: Option<&SigningKey>) -> io::Result<W> {
        self.write(if self.list_is_open { b"\n]}\n" } else { b"}\n" })?;
        if let Some(key) = key {
            let line = signature::line(self.digest.finalize().into(), key)?;
            self.output.write_all(line.as_bytes())?;
        }
        self.output.flush()?;
        Ok(self.output)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.output.write_all(bytes)
    }
}
