//! Who calls App's API, and what they may do there.

use std::{fmt, str::FromStr};

/// Longest name of a caller, characters.
const LONGEST_NAME: usize = 64;

/// A caller's name. Idempotency keys are each caller's own: the same key of another caller is another payment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallerName(String);

/// Not the form of a caller's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a caller's name; expected 1 to {LONGEST_NAME} of a-z, 0-9 and '-'")]
pub(crate) struct InvalidCallerName(String);

impl CallerName {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallerName {
    type Err = InvalidCallerName;

    fn from_str(text: &str) -> Result<Self, InvalidCallerName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let known = (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(plain);
        if known { Ok(Self(text.to_owned())) } else { Err(InvalidCallerName(text.to_owned())) }
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// See all wallets and payments, whoever made them.
    Read,
    /// Create wallets.
    Wallets,
    /// Ask for payments, out of every wallet.
    Pay,
}

/// Not a scope.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a scope; expected read, wallets or pay")]
pub(crate) struct InvalidScope(String);

impl Scope {
    /// All scopes.
    pub(crate) const ALL: [Scope; 3] = [Scope::Read, Scope::Wallets, Scope::Pay];

    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Wallets => "wallets",
            Scope::Pay => "pay",
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let named = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        named.ok_or_else(|| InvalidScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_name_is_short_and_plain() {
        for good in ["default", "shop-2", &"a".repeat(64)] {
            assert_eq!(good.parse::<CallerName>().unwrap().as_str(), good);
        }
        for bad in ["", "Shop", "a b", "a/b", "\u{e9}", &"a".repeat(65)] {
            assert_eq!(bad.parse::<CallerName>(), Err(InvalidCallerName(bad.to_owned())));
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!("Pay".parse::<Scope>(), Err(InvalidScope("Pay".to_owned())));
    }
}
