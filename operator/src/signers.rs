//! The two signers, and values that come in pairs of one for each.

use std::fmt;

use custody::Role;

/// A signer: one of the two roles that live in a data centre of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signer {
    /// Holds the hot keys.
    Keeper,
    /// Holds the cool key.
    Cooler,
}

impl Signer {
    /// Both, Keeper first.
    pub const BOTH: [Signer; 2] = [Signer::Keeper, Signer::Cooler];

    /// Its role in the custody.
    pub fn role(self) -> Role {
        match self {
            Signer::Keeper => Role::Keeper,
            Signer::Cooler => Role::Cooler,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Signer::Keeper => Signer::Cooler,
            Signer::Cooler => Signer::Keeper,
        }
    }

    /// The name in objects, subjects and messages.
    pub fn as_str(self) -> &'static str {
        self.role().as_str()
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value for each signer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pair<T> {
    /// Keeper's.
    pub keeper: T,
    /// Cooler's.
    pub cooler: T,
}

impl<T> Pair<T> {
    /// Makes both.
    pub fn from_fn(mut make: impl FnMut(Signer) -> T) -> Self {
        Self { keeper: make(Signer::Keeper), cooler: make(Signer::Cooler) }
    }

    /// One of them.
    pub fn get(&self, signer: Signer) -> &T {
        match signer {
            Signer::Keeper => &self.keeper,
            Signer::Cooler => &self.cooler,
        }
    }

    /// Both with their signer, Keeper first.
    pub fn each(&self) -> [(Signer, &T); 2] {
        [(Signer::Keeper, &self.keeper), (Signer::Cooler, &self.cooler)]
    }
}
