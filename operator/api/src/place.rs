//! The places of a custody: the roles that a MultisigCluster puts on members, each on one of its own.

use std::fmt;

use custody::Role;

/// A role that runs in a data centre of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Holds the hot keys.
    Keeper,
    /// Holds the cool key.
    Cooler,
    /// Watches the others.
    Sentinel,
}

impl Place {
    /// Its role in the custody.
    pub fn role(self) -> Role {
        match self {
            Self::Keeper => Role::Keeper,
            Self::Cooler => Role::Cooler,
            Self::Sentinel => Role::Sentinel,
        }
    }

    /// Whether no payment is signed without it.
    pub fn signs(self) -> bool {
        match self {
            Self::Keeper | Self::Cooler => true,
            Self::Sentinel => false,
        }
    }

    /// The name in objects, subjects and messages.
    pub fn as_str(self) -> &'static str {
        self.role().as_str()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
