//! What assets are worth, from a file.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::Result;
use chain::Asset;
use evacuation::stream::Price;
use serde::Deserialize;

use crate::failure::bad_input;

/// One line of a file of prices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    price: String,
    decimals: u32,
}

/// The prices in a file, each of an asset that is listed.
pub(super) fn read(path: &Path, assets: &[Asset]) -> Result<BTreeMap<String, Price>> {
    let wrong = |why: &dyn fmt::Display| bad_input(format!("--prices {}: {why}", path.display()));
    let listed: BTreeMap<String, Listed> =
        serde_json::from_slice(&super::super::read(path)?).map_err(|error| wrong(&error))?;
    let price = |(symbol, Listed { price, decimals }): (String, Listed)| {
        if !assets.iter().any(|asset| asset.symbol == symbol) {
            return Err(wrong(&format!("no asset has the symbol {symbol}; list it with --asset, or take it out")));
        }
        let malformed = || wrong(&format!("the price of {symbol} must be a decimal number, its decimals at most 77"));
        let price = Price::new(&price, decimals).ok_or_else(malformed)?;
        Ok((symbol, price))
    };
    listed.into_iter().map(price).collect()
}

/// An amount of the currency of the prices.
pub(super) fn least(text: &str) -> Result<f64, String> {
    match Price::new(text, 0) {
        Some(_) => text.parse().map_err(|_| "expected a decimal number".to_owned()),
        None => Err("expected a decimal number, for example 2.50".to_owned()),
    }
}
