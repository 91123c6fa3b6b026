//! The assets that an auditor lists: by contract, as they are signed; symbols and decimals are only for reading.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use chain::{Amount, Asset, ChainRules};
use custody::local_policy::is_symbol;
use serde::Deserialize;

const NATIVE: &str = "native";

/// Distinct assets.
pub(crate) struct Assets(Vec<Listed>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// `native` or the contract.
    asset: String,
    symbol: Option<String>,
    decimals: Option<u8>,
}

impl Assets {
    /// Reads the list. A malformed contract is left for the decoder, which refuses it by name.
    pub(crate) fn parse(json: &[u8], rules: &dyn ChainRules) -> Result<Self> {
        let mut list: Vec<Listed> = serde_json::from_slice(json)?;
        let mut seen = BTreeSet::new();
        for Listed { asset, symbol, .. } in &mut list {
            if let Ok(display) = rules.address(asset) {
                *asset = display;
            }
            if symbol.as_ref().is_some_and(|symbol| !is_symbol(symbol)) {
                bail!("the symbol of {asset} must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'");
            }
            if !seen.insert(asset.clone()) {
                bail!("{asset} is listed twice");
            }
        }
        Ok(Self(list))
    }

    /// What the decoder takes: an asset is called by its contract, so that no symbol can lie.
    pub(crate) fn to_decode(&self) -> Vec<Asset> {
        let contract = |asset: &String| (asset != NATIVE).then(|| asset.clone());
        self.0.iter().map(|Listed { asset, .. }| Asset { symbol: asset.clone(), contract: contract(asset) }).collect()
    }

    /// An amount for people: in the smallest unit and, where the list has decimals, in whole units.
    pub(crate) fn readable(&self, asset: &str, amount: Amount) -> String {
        match self.0.iter().find(|listed| listed.asset == asset) {
            Some(Listed { symbol, decimals: Some(decimals), .. }) => {
                let symbol = symbol.as_deref().unwrap_or(asset);
                format!("{amount} ({} {symbol})", whole(amount, *decimals))
            }
            _ => format!("{amount} (smallest unit)"),
        }
    }
}

/// `amount` / 10^`decimals`, exact.
fn whole(amount: Amount, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{:0>width$}", amount.to_string(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_units_are_exact() {
        for (amount, decimals, shown) in [
            ("1500000", 6, "1.5"),
            ("1", 18, "0.000000000000000001"),
            ("1000000", 6, "1"),
            ("12345", 0, "12345"),
            ("100", 2, "1"),
            ("99", 2, "0.99"),
        ] {
            assert_eq!(whole(amount.parse().expect("an amount"), decimals), shown);
        }
    }
}
