//! Bytes as documents and people have them: hex digits. Where a document is verified there is one form only, lower
//! case, either bare or with `0x`; what people type is read more generously, see [`Hex`].

use std::{fmt, str::FromStr};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Lower-case digits.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// Reads what [`encode`] writes, and nothing else.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.as_bytes()).ok()
}

/// `0x` and lower-case digits.
pub fn encode_prefixed(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", encode(bytes))
}

/// Reads what [`encode_prefixed`] writes, and nothing else.
pub fn decode_prefixed(text: &str) -> Option<Vec<u8>> {
    decode(text.strip_prefix("0x")?)
}

/// For `#[serde(with = "chain::hex")]`: as [`encode`].
pub fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(bytes))
}

/// For `#[serde(with = "chain::hex")]`: as [`decode`], of the field's length.
pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
    let bytes = decode(&String::deserialize(deserializer)?).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| D::Error::custom("expected lower-case hex digits of the field's length"))
}

/// `N` bytes; written in lower-case hex, read in any case and with or without `0x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

/// Not that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hex digits")]
pub struct NotHex(usize);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self.0))
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotHex(2 * N))
    }
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        text.parse()
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(hex: Hex<N>) -> Self {
        hex.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_written_form_is_read_back_and_no_other_is() {
        assert_eq!((encode([10, 255]), encode_prefixed([10, 255])), ("0aff".to_owned(), "0x0aff".to_owned()));
        assert_eq!((decode("0aff"), decode_prefixed("0x0aff")), (Some(vec![10, 255]), Some(vec![10, 255])));
        for other in ["0AFF", "0aF", "0x0aff", "0a ff"] {
            assert_eq!(decode(other), None, "{other}");
        }
        for other in ["0aff", "0X0aff", "0x0AFF", "0x0af"] {
            assert_eq!(decode_prefixed(other), None, "{other}");
        }
    }

    #[test]
    fn what_people_type_is_read_in_any_case_and_length_is_checked() {
        for typed in ["0aff", "0AFF", "0x0aff", "0x0AfF"] {
            assert_eq!(typed.parse(), Ok(Hex([10, 255])), "{typed}");
        }
        assert_eq!("0aff00".parse::<Hex<2>>(), Err(NotHex(4)));
        assert_eq!(serde_json::to_string(&Hex([10, 255])).unwrap(), r#""0aff""#);
    }
}
