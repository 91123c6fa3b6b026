//! A document on standard input that is held as a whole.

use std::io::{self, ErrorKind, Read};

/// Largest, bytes.
pub(crate) const LARGEST: u64 = 256 << 20;

/// All of it, without a byte-order mark. What is larger is refused, and not cut: half a document is malformed, which
/// tells nobody why.
pub(crate) fn whole(input: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        let why = format!(
            "more than {} MiB; is it the right file? A plan of so many wallets is made with `multisig evac plan --ladder`, \
             and read a piece at a time",
            largest >> 20
        );
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    text_file::unmark(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_called_that_and_never_cut() {
        assert_eq!(whole(&b"{}  "[..], 4).unwrap(), b"{}  ");
        assert_eq!(whole(&b"\xef\xbb\xbf{}"[..], 5).unwrap(), b"{}");
        let error = whole(&b"{}   "[..], 4).unwrap_err();
        assert!(error.to_string().contains("more than") && error.to_string().contains("--ladder"), "{error}");
    }
}
