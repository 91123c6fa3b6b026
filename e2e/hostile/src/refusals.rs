//! Who held an attack, and why: each party's own reasons, so that no refusal passes for another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use custody::Role;

/// What a row says when nothing refused.
pub(crate) const NOBODY: &str = "nobody";

/// Who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum By {
    /// A party: a signer, or App of what comes from elsewhere.
    Party(Role),
    /// The broker's permissions.
    Broker,
    /// The envelope around every message.
    Envelope,
    /// The contract, or the node before it.
    Chain,
}

/// Keeper.
pub(crate) const KEEPER: By = By::Party(Role::Keeper);
/// Cooler.
pub(crate) const COOLER: By = By::Party(Role::Cooler);
/// App.
pub(crate) const APP: By = By::Party(Role::App);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Party(role) => role.fmt(f),
            By::Broker => f.write_str("broker"),
            By::Envelope => f.write_str("envelope"),
            By::Chain => f.write_str("chain"),
        }
    }
}

/// All refusals of an attack. Shown as `keeper: OverLimit; cooler: OverLimit`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusals(BTreeMap<By, BTreeSet<String>>);

impl Refusals {
    /// One reason.
    pub(crate) fn one(by: By, reason: &str) -> Self {
        let mut refusals = Self::default();
        refusals.note(by, reason);
        refusals
    }

    /// Several of one party.
    pub(crate) fn all(by: By, reasons: impl IntoIterator<Item = String>) -> Self {
        let mut refusals = Self::default();
        reasons.into_iter().for_each(|reason| refusals.note(by, &reason));
        refusals
    }

    /// Also this.
    pub(crate) fn note(&mut self, by: By, reason: &str) {
        self.0.entry(by).or_default().insert(reason.to_owned());
    }

    /// Also all of these.
    pub(crate) fn extend(&mut self, other: Self) {
        for (by, reasons) in other.0 {
            self.0.entry(by).or_default().extend(reasons);
        }
    }

    /// Whether nobody refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(NOBODY);
        }
        for (number, (by, reasons)) in self.0.iter().enumerate() {
            let reasons = reasons.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            write!(f, "{}{by}: {reasons}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_party_is_shown_with_its_own_reasons() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.to_string(), NOBODY);
        refusals.note(COOLER, "OverLimit");
        refusals.note(KEEPER, "OverWindow");
        refusals.extend(Refusals::one(KEEPER, "NonceUsed"));
        assert_eq!(refusals.to_string(), "keeper: NonceUsed, OverWindow; cooler: OverLimit");
    }
}
