//! Files that people hand in. Some editors and shells (PowerShell's `>`, Notepad) begin a UTF-8 file with a byte-order
//! mark, which RFC 8259 lets a reader skip, or write UTF-16, which no parser here reads. The mark is skipped and UTF-16
//! is refused by its name, so that nobody is told of an unexpected character at line 1, column 1.

use std::{
    fs,
    io::{self, BufRead, ErrorKind},
    path::Path,
};

/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a text can't be read. The words follow the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Encoding {
    /// By its byte-order mark, or because every second byte at the beginning is zero.
    #[error("the file is UTF-16; save it as UTF-8")]
    Utf16,
    /// By its byte-order mark.
    #[error("the file is UTF-32; save it as UTF-8")]
    Utf32,
    /// Something else, or damaged.
    #[error("the file is not UTF-8 from byte {at} on; save it as UTF-8")]
    Other {
        /// Where the first invalid sequence begins, counted from 1.
        at: usize,
    },
}

impl From<Encoding> for io::Error {
    fn from(encoding: Encoding) -> Self {
        io::Error::new(ErrorKind::InvalidData, encoding)
    }
}

/// The text without its byte-order mark. What follows is not looked at: whoever parses it does.
pub fn unmarked(bytes: &[u8]) -> Result<&[u8], Encoding> {
    match bytes {
        // UTF-32 in little endian begins as UTF-16 does.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(Encoding::Utf32),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(Encoding::Utf16),
        // Whatever is handed in begins with an ASCII character.
        [first, second, ..] if (*first == 0) != (*second == 0) => Err(Encoding::Utf16),
        _ => Ok(bytes.strip_prefix(MARK).unwrap_or(bytes)),
    }
}

/// As [`unmarked`], and all of it is UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Encoding> {
    let unmarked = unmarked(bytes)?;
    let skipped = bytes.len() - unmarked.len();
    std::str::from_utf8(unmarked).map_err(|error| Encoding::Other { at: skipped + error.valid_up_to() + 1 })
}

/// As [`unmarked`], in place: nothing is copied to where it would have to be wiped.
pub fn unmark(bytes: &mut Vec<u8>) -> Result<(), Encoding> {
    let skipped = bytes.len() - unmarked(bytes)?.len();
    bytes.drain(..skipped);
    Ok(())
}

/// As [`unmarked`], at the beginning of a stream.
pub fn skip_mark(input: &mut impl BufRead) -> io::Result<()> {
    let begun = input.fill_buf()?;
    let skipped = begun.len() - unmarked(begun)?.len();
    input.consume(skipped);
    Ok(())
}

/// The file without its byte-order mark. [`Encoding`] comes as [`ErrorKind::InvalidData`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    unmark(&mut bytes)?;
    Ok(bytes)
}

/// The file as text, without its byte-order mark. [`Encoding`] comes as [`ErrorKind::InvalidData`].
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|error| Encoding::Other { at: error.utf8_error().valid_up_to() + 1 }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_mark_is_skipped_and_all_else_kept() {
        for (bytes, kept) in
            [(&b"\xef\xbb\xbf{}"[..], "{}"), (b"{}", "{}"), (b"", ""), (b"\xef\xbb\xbf", ""), (b"1", "1")]
        {
            assert_eq!(text(bytes), Ok(kept));
            let mut owned = bytes.to_vec();
            unmark(&mut owned).unwrap();
            assert_eq!(owned, kept.as_bytes());
            let mut stream = bytes;
            skip_mark(&mut stream).unwrap();
            assert_eq!(stream, kept.as_bytes());
        }
    }

    #[test]
    fn another_encoding_is_refused_by_its_name() {
        for text in ["\u{feff}{}", "{}", "{\"a\": \"\u{e4}\"}", "a"] {
            for bytes in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
                assert_eq!(unmarked(&bytes), Err(Encoding::Utf16), "{bytes:?}");
            }
        }
        for bytes in [&b"\xff\xfe\0\0{\0\0\0"[..], b"\0\0\xfe\xff\0\0\0{"] {
            assert_eq!(unmarked(bytes), Err(Encoding::Utf32));
        }
        // Latin-1.
        assert_eq!(text(b"\xef\xbb\xbf{\"\xe4\"}"), Err(Encoding::Other { at: 6 }));
    }

    #[test]
    fn a_file_says_it_as_an_error_of_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.yaml");
        fs::write(&path, b"\xef\xbb\xbfa: b").unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "a: b");
        fs::write(&path, utf16("\u{feff}a: b", u16::to_le_bytes)).unwrap();
        for error in [read(&path).unwrap_err(), read_to_string(&path).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(error.to_string(), "the file is UTF-16; save it as UTF-8");
        }
        fs::write(&path, b"\xe4").unwrap();
        assert!(read_to_string(&path).unwrap_err().to_string().contains("not UTF-8 from byte 1"));
        assert_eq!(read(folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
