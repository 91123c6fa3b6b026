//! `0x` and lower-case hex digits, the only form in these documents.

use data_encoding::HEXLOWER;

pub(crate) fn encode(bytes: &[u8]) -> String {
    format!("0x{}", HEXLOWER.encode(bytes))
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.strip_prefix("0x")?.as_bytes()).ok()
}
