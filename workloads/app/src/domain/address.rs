//! Addresses on App's chain.

use std::fmt;

use chain::{ChainError, ChainRules};

/// An address in the only form that the chain's rules write it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// Reads any form that the chain takes.
    pub(crate) fn parse(text: &str, rules: &dyn ChainRules) -> Result<Self, ChainError> {
        rules.address(text).map(Self)
    }

    /// Reads what App itself wrote: nothing but the canonical form.
    pub(crate) fn canonical(text: &str, rules: &dyn ChainRules) -> Result<Self, ChainError> {
        let parsed = Self::parse(text, rules)?;
        if parsed.0 == text { Ok(parsed) } else { Err(ChainError::Address(text.to_owned())) }
    }

    /// The canonical form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        let rules = chain_adapters::Adapters::all().rules(&"eip155:1".parse().unwrap()).unwrap();
        let (canonical, lower) =
            ("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359");
        assert_eq!(Address::parse(lower, &*rules).unwrap().as_str(), canonical);
        assert_eq!(Address::canonical(canonical, &*rules).unwrap().as_str(), canonical);
        assert_eq!(Address::canonical(lower, &*rules), Err(ChainError::Address(lower.to_owned())));
    }
}
