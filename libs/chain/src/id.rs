//! Chain ids: the one rule for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ChainError;

/// The family whose references are numbers (EIP-155).
const EIP155: &str = "eip155";

/// CAIP-2 chain id (`eip155:1`): part of every request, registry row and watermark. In the family `eip155` the
/// reference is a number from 1 to 2^64 - 1 without leading zeros, so that a chain has one id.
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
            Some((EIP155, reference)) if is_number(reference) => Ok(Self(text)),
            Some((EIP155, _)) => Err(ChainError::ChainId(text)),
            Some((namespace, reference)) if known(namespace, 8) && known(reference, 32) => Ok(Self(text)),
            _ => Err(ChainError::ChainId(text)),
        }
    }
}

fn is_number(reference: &str) -> bool {
    reference.parse().is_ok_and(|number: u64| number > 0 && number.to_string() == reference)
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
        assert!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse::<ChainId>().is_ok());
        for bad in ["", ":", "eip155", "eip155:", ":1", "eip155:1:2", "eip 155:1", "toolongname:1", "eip155:1\n"] {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainError::ChainId(bad.to_owned())));
        }
    }

    #[test]
    fn an_evm_chain_has_one_id() {
        assert!("eip155:18446744073709551615".parse::<ChainId>().is_ok());
        for bad in ["eip155:0", "eip155:01", "eip155:x", "eip155:+1", "eip155:0x1", "eip155:18446744073709551616"] {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainError::ChainId(bad.to_owned())));
        }
    }
}
