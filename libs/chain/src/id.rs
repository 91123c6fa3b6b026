//! Chain ids: the one rule for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ChainError;

/// CAIP-2 chain id (`eip155:1`): part of every request, registry row and watermark.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainId(String);

impl ChainId {
    /// Before the colon: the family of chains that share keys and rules (`eip155`).
    pub fn namespace(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// After the colon: which chain of that family.
    pub fn reference(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChainId {
    type Error = ChainError;

    fn try_from(text: String) -> Result<Self, ChainError> {
        let known = |part: &str, longest: usize| {
            (1..=longest).contains(&part.len())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        match text.split_once(':') {
            Some((namespace, reference)) if known(namespace, 8) && known(reference, 32) => Ok(Self(text)),
            _ => Err(ChainError::ChainId(text)),
        }
    }
}

impl std::str::FromStr for ChainId {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        text.to_owned().try_into()
    }
}

impl From<ChainId> for String {
    fn from(id: ChainId) -> Self {
        id.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_caip_2() {
        let id: ChainId = "eip155:8453".parse().unwrap();
        assert_eq!((id.namespace(), id.reference(), id.to_string().as_str()), ("eip155", "8453", "eip155:8453"));
        for bad in ["", ":", "eip155", "eip155:", ":1", "eip155:1:2", "eip 155:1", "toolongname:1", "eip155:1\n"] {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainError::ChainId(bad.to_owned())));
        }
    }
}
