//! The assets that App pays.

use std::{fmt, str::FromStr};

use chain::Asset;

/// An asset's name in the API and in the signers' local policies. What is in the database may no longer be listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Symbol(String);

/// A symbol without a character.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the symbol of an asset is empty")]
pub(crate) struct EmptySymbol;

impl Symbol {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = EmptySymbol;

    fn from_str(text: &str) -> Result<Self, EmptySymbol> {
        if text.is_empty() { Err(EmptySymbol) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The assets of App's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assets(Vec<Asset>);

/// The configuration does not list this asset.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("asset '{asset}' is not configured; known: {known}")]
pub(crate) struct UnlistedAsset {
    asset: String,
    known: String,
}

impl Assets {
    /// Each with a symbol of its own.
    pub(crate) fn new(assets: Vec<Asset>) -> Self {
        Self(assets)
    }

    /// The asset of this symbol; refuses one that is not listed.
    pub(crate) fn listed(&self, symbol: &str) -> Result<Symbol, UnlistedAsset> {
        let listed = self.0.iter().find(|asset| asset.symbol == symbol);
        listed.map(|asset| Symbol(asset.symbol.clone())).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|asset| asset.symbol.as_str()).collect();
            UnlistedAsset { asset: symbol.to_owned(), known: known.join(", ") }
        })
    }

    /// The asset, as long as it is listed.
    pub(crate) fn get(&self, symbol: &Symbol) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.symbol == symbol.0)
    }

    /// All of them, as the chain's rules want them.
    pub(crate) fn as_slice(&self) -> &[Asset] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listed_asset_is_taken_and_the_others_are_told() {
        let asset = |symbol: &str| Asset { symbol: symbol.to_owned(), contract: None };
        let assets = Assets::new(vec![asset("ETH"), asset("USD")]);
        let listed = assets.listed("USD").unwrap();
        assert_eq!(assets.get(&listed), Some(&asset("USD")));
        let error = assets.listed("DOGE").unwrap_err();
        assert_eq!(error.to_string(), "asset 'DOGE' is not configured; known: ETH, USD");
        assert_eq!(assets.get(&"DOGE".parse().unwrap()), None);
        assert_eq!("".parse::<Symbol>(), Err(EmptySymbol));
    }
}
