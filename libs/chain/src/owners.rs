//! The three owners of a wallet.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An owner of a 2-of-3 wallet. The order hot, cool, cold is the order of owners in every address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyRole {
    /// One per user, in Keeper.
    Hot,
    /// One for all, in Cooler and on paper.
    Cool,
    /// One for all, on paper only.
    Cold,
}

impl KeyRole {
    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyRole::Hot => "hot",
            KeyRole::Cool => "cool",
            KeyRole::Cold => "cold",
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Public keys of the three owners, in the order that every address uses; encoding is the chain's (33-byte SEC1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    /// The user's hot key.
    pub hot: Vec<u8>,
    /// The custody's cool key.
    pub cool: Vec<u8>,
    /// The custody's cold key.
    pub cold: Vec<u8>,
}

impl Owners {
    /// The key of a role.
    pub fn key(&self, role: KeyRole) -> &[u8] {
        match role {
            KeyRole::Hot => &self.hot,
            KeyRole::Cool => &self.cool,
            KeyRole::Cold => &self.cold,
        }
    }
}
