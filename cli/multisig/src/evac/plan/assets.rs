//! What a plan moves: what is given, and what the local policies list.

use std::path::Path;

use anyhow::{Result, bail};
use chain::{Asset, ChainRules};
use custody::local_policy::is_symbol;
use evacuation::stream::MAX_PLAN_ASSETS;
use serde::Deserialize;

use crate::failure::bad_input;

const NATIVE: &str = "native";

/// An asset, and who lists it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) asset: Asset,
    /// An option, or a file.
    pub(super) by: String,
}

/// One line of a file of assets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    symbol: String,
    contract: String,
}

/// What to move, contracts in display form: what is given comes before what policies list, and calls it. The native coin
/// always moves, last: tokens need none of it, so the order does not matter to them.
pub(super) fn listed(
    rules: &dyn ChainRules,
    given: &[Asset],
    file: Option<&Path>,
    policies: Vec<Listed>,
) -> Result<Vec<Asset>> {
    let by_option = |asset: &Asset| Listed { asset: asset.clone(), by: format!("--asset {}", asset.symbol) };
    let mut given: Vec<Listed> = given.iter().map(by_option).collect();
    given.extend(file.map(in_file).transpose()?.unwrap_or_default());
    let count = given.len();
    let mut kept: Vec<Listed> = Vec::new();
    for (number, Listed { mut asset, by }) in given.into_iter().chain(policies).enumerate() {
        if let Some(contract) = &mut asset.contract {
            *contract = rules.address(contract).map_err(|error| bad_input(format!("{by}: {error}")))?;
        }
        let is_given = number < count;
        match kept.iter().find(|other| other.asset.contract == asset.contract) {
            // A policy may call it otherwise.
            Some(_) if !is_given => continue,
            Some(other) => bail!(bad_input(format!("{by}: {} lists the same contract; list it once", other.by))),
            None => {}
        }
        if let Some(other) = kept.iter().find(|other| other.asset.symbol == asset.symbol) {
            let contract = |asset: &Asset| asset.contract.clone().unwrap_or_else(|| NATIVE.to_owned());
            let (symbol, one, two) = (&asset.symbol, contract(&other.asset), contract(&asset));
            bail!(bad_input(format!(
                "{by}: {symbol} is {two}, but {one} by {}; give one of them another name with --asset NAME=CONTRACT",
                other.by
            )));
        }
        kept.push(Listed { asset, by });
    }
    let room = MAX_PLAN_ASSETS - usize::from(kept.iter().all(|listed| listed.asset.contract.is_some()));
    if let Some(Listed { by, .. }) = kept.get(room) {
        bail!(bad_input(format!("{by}: a plan moves at most {MAX_PLAN_ASSETS} assets; make several plans")));
    }
    let mut assets: Vec<Asset> = kept.into_iter().map(|listed| listed.asset).collect();
    if assets.iter().all(|asset| asset.contract.is_some()) {
        assets.push(Asset { symbol: NATIVE.to_owned(), contract: None });
    }
    Ok(assets)
}

fn in_file(path: &Path) -> Result<Vec<Listed>> {
    let by = format!("--assets {}", path.display());
    let wrong = |why: String| bad_input(format!("{by}: {why}"));
    let lines: Vec<Line> =
        serde_json::from_slice(&super::super::read(path)?).map_err(|error| wrong(error.to_string()))?;
    let listed = lines.into_iter().map(|Line { symbol, contract }| {
        let asset = of(&symbol, &contract).map_err(|why| wrong(format!("{symbol}: {why}")))?;
        Ok(Listed { asset, by: format!("{by}, {symbol}") })
    });
    listed.collect()
}

/// `SYMBOL=native` or `SYMBOL=CONTRACT`; what a contract looks like is the chain's to say.
pub(super) fn asset(text: &str) -> Result<Asset, String> {
    let (symbol, contract) = text.split_once('=').ok_or("expected SYMBOL=CONTRACT, for example USDC=0x...")?;
    of(symbol, contract)
}

fn of(symbol: &str, contract: &str) -> Result<Asset, String> {
    if symbol.is_empty() || contract.is_empty() {
        return Err("the symbol or the contract is empty".to_owned());
    }
    if !is_symbol(symbol) {
        return Err("the symbol must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'".to_owned());
    }
    Ok(Asset { symbol: symbol.to_owned(), contract: (contract != NATIVE).then(|| contract.to_owned()) })
}

#[cfg(test)]
mod tests {
    use chain_adapters::Adapters;

    use super::*;

    const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

    fn plain(symbol: &str, contract: Option<&str>) -> Asset {
        Asset { symbol: symbol.to_owned(), contract: contract.map(str::to_owned) }
    }

    fn with(words: &[&str], policies: &[Asset]) -> Result<Vec<Asset>> {
        let given = words.iter().map(|word| asset(word)).collect::<Result<Vec<_>, _>>().map_err(bad_input)?;
        let policies = policies.iter().map(|asset| Listed { asset: asset.clone(), by: "wallets.json".to_owned() });
        super::listed(Adapters::all().rules(&"eip155:1".parse()?)?.as_ref(), &given, None, policies.collect())
    }

    fn symbols(words: &[&str], policies: &[Asset]) -> Vec<String> {
        with(words, policies).unwrap().into_iter().map(|asset| asset.symbol).collect()
    }

    #[test]
    fn assets_are_symbol_and_contract() {
        assert_eq!(asset("ETH=native"), Ok(plain("ETH", None)));
        let usd = with(&[&format!("USD={TOKEN}")], &[]).unwrap().remove(0);
        assert_eq!(usd.contract.unwrap(), TOKEN);
        for wrong in ["", "USD", "USD=", "=native", "USD=0x12", "US D=native"] {
            assert!(with(&[wrong], &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_local_policies_list_comes_to_what_is_given_once() {
        let other = "0x00000000000000000000000000000000000000cc";
        let listed = [plain("ETH", None), plain("USD", Some(TOKEN)), plain("EUR", Some(other))];
        assert_eq!(symbols(&[&format!("USDC={TOKEN}")], &listed), ["USDC", "ETH", "EUR"]);
        let two = [listed.as_slice(), &[plain("USD", Some(other))]].concat();
        assert_eq!(symbols(&[], &two), ["ETH", "USD", "EUR"], "one contract under two names");
    }

    #[test]
    fn what_a_station_would_refuse_names_who_lists_it() {
        let refused = |words: &[&str], policies: &[Asset]| with(words, policies).unwrap_err().to_string();
        let usd = format!("USD={TOKEN}");
        let same = refused(&[&usd, &format!("USDC={TOKEN}")], &[]);
        assert_eq!(same, "--asset USDC: --asset USD lists the same contract; list it once");
        let named = refused(&[&usd], &[plain("USD", Some("0x00000000000000000000000000000000000000cc"))]);
        assert!(named.starts_with("wallets.json: USD is 0x") && named.contains("by --asset USD; give"), "{named}");
        let contract = |number: usize| format!("T{number}=0x{number:040x}");
        let words: Vec<String> = (0..=MAX_PLAN_ASSETS).map(contract).collect();
        let many = refused(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        assert_eq!(many, "--asset T63: a plan moves at most 64 assets; make several plans");
    }

    #[test]
    fn the_native_coin_is_never_forgotten() {
        let usd = format!("USD={TOKEN}");
        assert_eq!(symbols(&[], &[]), ["native"]);
        assert_eq!(symbols(&[&usd], &[]), ["USD", "native"]);
        assert_eq!(symbols(&["ETH=native", &usd], &[]), ["ETH", "USD"]);
    }
}
