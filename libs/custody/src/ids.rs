//! Names: the custody, its parties, its keys and its wallets.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// A custody id is 16 bytes.
    #[error("'{0}' is not a custody id: expected 32 lower-case hex digits")]
    CustodyId(String),
    /// A wallet id names files, subjects and metrics nowhere, but people read it.
    #[error(
        "'{0}' is not a wallet id: expected 1 to 64 characters of a-z, 0-9 and '-', starting with a letter or digit"
    )]
    WalletId(String),
    /// Only the parties of the design exist.
    #[error("'{0}' is not a role: expected keeper, cooler, app or sentinel")]
    Role(String),
}

/// Identity of a custody across restores: 16 random bytes, fixed in the manifest, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustodyId([u8; 16]);

impl CustodyId {
    /// A new identity; `rng` is the operating system's outside tests.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From exactly 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, NameError> {
        bytes.try_into().map(Self).map_err(|_| NameError::CustodyId(HEXLOWER.encode(bytes)))
    }
}

impl fmt::Display for CustodyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for CustodyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CustodyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| NameError::CustodyId(text.to_owned()))
    }
}

impl TryFrom<String> for CustodyId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<CustodyId> for String {
    fn from(id: CustodyId) -> Self {
        id.to_string()
    }
}

/// A party that sends and receives messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Holds the hot keys.
    Keeper,
    /// Holds the cool key.
    Cooler,
    /// Decides when and how much is paid.
    App,
    /// Watches all others (Sentinel).
    Sentinel,
}

impl Role {
    /// All parties, in the order of the design.
    pub const ALL: [Role; 4] = [Role::Keeper, Role::Cooler, Role::App, Role::Sentinel];

    /// The name in subjects, ConfigMaps and command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Keeper => "keeper",
            Role::Cooler => "cooler",
            Role::App => "app",
            Role::Sentinel => "sentinel",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| NameError::Role(text.to_owned()))
    }
}

/// App's name for one user's wallet: 1 to 64 characters of `a-z`, `0-9`, `-`, not starting with `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WalletId(String);

impl WalletId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WalletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WalletId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=64).contains(&text.len()) && !text.starts_with('-') && text.chars().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::WalletId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for WalletId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<WalletId> for String {
    fn from(id: WalletId) -> Self {
        id.0
    }
}

/// Whether `text` has the form of an address in the family `eip155`: `0x` and 40 hex digits. Its checksum is the chain's
/// adapter to judge.
pub(crate) fn is_evm_address(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_custody_id_is_32_lower_case_hex_digits() {
        let id = CustodyId::generate(&mut OsRng);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(CustodyId::from_slice(id.as_bytes()), Ok(id));
        assert_ne!(CustodyId::generate(&mut OsRng), id);
        for bad in ["", "00", &"0".repeat(31), &"A".repeat(32), &"0".repeat(34)] {
            assert_eq!(bad.parse::<CustodyId>(), Err(NameError::CustodyId(bad.to_owned())));
        }
    }

    #[test]
    fn wallet_ids_are_names_and_nothing_else() {
        for good in ["a", "7", "user-1", &"x".repeat(64)] {
            assert_eq!(good.parse::<WalletId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a.b", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<WalletId>(), Err(NameError::WalletId(bad.to_owned())));
        }
        assert!(serde_json::from_str::<WalletId>("\"../a\"").is_err(), "JSON is checked as well");
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert_eq!("Keeper".parse::<Role>(), Err(NameError::Role("Keeper".to_owned())));
    }

    proptest! {
        #[test]
        fn names_never_panic(text in ".{0,80}") {
            let _ = (text.parse::<CustodyId>(), text.parse::<WalletId>(), text.parse::<Role>());
        }
    }
}
