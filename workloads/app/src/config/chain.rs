//! The chain that App pays on, and its nodes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chain::{Access, Asset, ChainId, ChainRules, Finality, LEAST_TIP};
use chain_adapters::Adapters;
use serde::Deserialize;

use super::error::{ConfigError, invalid};
use crate::domain::{Assets, Symbol};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChainConfig {
    /// CAIP-2, for example `eip155:1`.
    id: ChainId,
    /// URLs of nodes, in the order in which they are asked; may hold a provider's API key, so they are never shown.
    nodes: Vec<String>,
    /// So many nodes must say the same before it ends a payment. Two where two or more are named, if it is left out.
    agree: Option<usize>,
    finality: FinalityConfig,
    /// Seconds: a node whose newest block is older is behind, and its word ends no payment. Left out only where blocks
    /// are made when there is something to put into them, as development nodes do.
    head_age: Option<u64>,
    /// The least tip offered, in the fee's smallest unit (EVM: wei per gas).
    least_tip: Option<u64>,
    assets: Vec<AssetConfig>,
}

/// When a payment's block is taken to stay.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum FinalityConfig {
    /// So many blocks follow it.
    Depth(u64),
    /// The chain calls it final (EVM: the tag `finalized`).
    Tagged,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssetConfig {
    /// Its name in the API and in the signers' local policies.
    symbol: String,
    /// `native`, or the contract's address.
    asset: String,
    /// Of the smallest unit, for people who read the file.
    #[expect(dead_code, reason = "App counts in the smallest unit")]
    decimals: u8,
}

/// The chain that this App pays on.
pub(crate) struct ChainSettings {
    pub(crate) rules: Arc<dyn ChainRules>,
    pub(crate) access: Access,
    pub(crate) assets: Assets,
}

impl ChainConfig {
    fn access(&self) -> Result<Access, ConfigError> {
        let Self { nodes, agree, finality, head_age, least_tip, .. } = self;
        if nodes.is_empty() {
            return invalid("chain.nodes is empty: nothing can be read");
        }
        let agree = agree.unwrap_or_else(|| nodes.len().min(2));
        if !(1..=nodes.len()).contains(&agree) {
            return invalid(format!("chain.agree is {agree}; expected 1 to {}, the number of nodes", nodes.len()));
        }
        let finality = match finality {
            FinalityConfig::Depth(blocks) => Finality::Depth(*blocks),
            FinalityConfig::Tagged => Finality::Tagged,
        };
        if *head_age == Some(0) {
            return invalid("chain.headAge is 0: every node would be behind");
        }
        let head_age = head_age.map(Duration::from_secs);
        let least_tip = least_tip.map_or(LEAST_TIP, u128::from);
        Ok(Access { nodes: nodes.clone(), private: Vec::new(), agree, finality, head_age, least_tip })
    }

    pub(super) fn validate(self, adapters: &Adapters) -> Result<ChainSettings, ConfigError> {
        let rules = adapters.rules(&self.id).or_else(|error| invalid(format!("chain.id: {error}")))?;
        let access = self.access()?;
        chain_clients::connect(&self.id, &access, None).or_else(|error| invalid(format!("chain.nodes: {error}")))?;
        if self.assets.is_empty() {
            return invalid("chain.assets is empty: nothing could be paid");
        }
        let (mut symbols, mut contracts) = (BTreeSet::new(), BTreeSet::new());
        let mut assets = Vec::new();
        for AssetConfig { symbol, asset, .. } in self.assets {
            let contract = match asset.as_str() {
                "native" => None,
                address => Some(rules.address(address).or_else(|error| {
                    invalid(format!("chain.assets: {symbol} is neither 'native' nor a contract: {error}"))
                })?),
            };
            let taken = symbol.parse().map_or(true, |symbol: Symbol| !symbols.insert(symbol));
            if taken || !contracts.insert(contract.clone()) {
                return invalid(format!("chain.assets: '{symbol}' is empty or listed twice"));
            }
            assets.push(Asset { symbol, contract });
        }
        Ok(ChainSettings { rules, access, assets: Assets::new(assets) })
    }
}
