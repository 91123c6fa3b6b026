//! What may be signed, as a value: the floor that the data centre's admin set, the earlier floors that still hold, and
//! the hub's limits. All of them hold together, so the hub only tightens, a stricter floor holds at once and a looser
//! one waits. No IO, no clock, no randomness; whatever is not named is refused.

mod effective;
mod error;
mod judge;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, ChainRules};
use custody::{manifest::VerifiedManifest, trust::Floor, wiring};

pub use error::PolicyError;
pub use judge::{Facts, Finding, Outcome, Rule, Verdict};

use effective::Effective;

/// The effective policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    assets: BTreeMap<ChainId, Vec<Asset>>,
    /// All floors and the hub.
    effective: Effective,
    /// The present floor and the hub: what will hold when the earlier floors have ended.
    present: Effective,
    /// Told with every decision, so it is computed once.
    digest: [u8; 32],
}

/// Whose payments a rolling limit adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The paying wallet's.
    Wallet,
    /// All wallets'.
    Total,
}

/// A rolling limit. One scope and length has one limit: the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Whose payments.
    pub scope: Scope,
    /// How far back, milliseconds.
    pub length_ms: u64,
    /// Highest sum, in the asset's smallest unit.
    pub limit: Amount,
}

/// The chains that a floor names.
pub fn chains(floor: &Floor) -> Result<Vec<ChainId>, PolicyError> {
    let mut chains = Vec::new();
    for asset in &floor.assets {
        let chain: ChainId = asset.chain.parse().map_err(|e: chain::ChainError| error::floor(e))?;
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    Ok(chains)
}

impl Policy {
    /// The strictest of all. `floor` is the present one; `held` are earlier ones whose loosening delay has not passed.
    /// `rules` has an adapter for every chain of `floor`.
    pub fn new(
        floor: &Floor,
        held: &[Floor],
        hub: &wiring::Policy,
        manifest: &VerifiedManifest,
        rules: &BTreeMap<ChainId, Box<dyn ChainRules>>,
    ) -> Result<Self, PolicyError> {
        let safe = &manifest.manifest().safe_destinations;
        let unsafe_chain = |chain: &ChainId| safe.get(chain.as_str()).is_none_or(Vec::is_empty);
        if let Some(chain) = chains(floor)?.into_iter().find(unsafe_chain) {
            return Err(PolicyError::NoSafeDestination(chain));
        }
        Self::unvouched(floor, held, hub, safe, rules)
    }

    /// The same with safe destinations, by CAIP-2 chain id, that no manifest vouches for: to explain a decision
    /// offline. A chain without any has no cancel.
    pub fn unvouched(
        floor: &Floor,
        held: &[Floor],
        hub: &wiring::Policy,
        safe: &BTreeMap<String, Vec<String>>,
        rules: &BTreeMap<ChainId, Box<dyn ChainRules>>,
    ) -> Result<Self, PolicyError> {
        let mut served = BTreeMap::new();
        for chain in chains(floor)? {
            let adapter = rules.get(&chain).ok_or_else(|| error::floor(format!("no adapter for {chain}")))?;
            served.insert(chain, adapter.as_ref());
        }
        let mut present = Effective::of(floor, &served)?;
        present.add_safe_destinations(safe, &served)?;
        let mut effective = present.clone();
        for floor in held {
            effective.and(&Effective::of(floor, &served)?);
        }
        let limits = effective::hub_limits(&hub.limits, &present)?;
        present.tighten(&limits);
        effective.tighten(&limits);
        let digest = effective.digest();
        Ok(Self { assets: assets(floor, &served)?, effective, present, digest })
    }

    /// The assets of the present floor on a chain; empty for a chain that it does not name.
    pub fn assets(&self, chain: &ChainId) -> &[Asset] {
        self.assets.get(chain).map_or(&[], Vec::as_slice)
    }

    /// The rolling limits of an asset, of all floors and the hub, in a fixed order: by scope and length.
    pub fn windows(&self, chain: &ChainId, asset: &str) -> &[Window] {
        self.effective.asset(chain, asset).map_or(&[], |asset| &asset.windows)
    }

    /// SHA-256 over everything that holds: equal for policies that decide alike.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

fn assets(
    floor: &Floor,
    served: &BTreeMap<ChainId, &dyn ChainRules>,
) -> Result<BTreeMap<ChainId, Vec<Asset>>, PolicyError> {
    let of_chain = |(chain, rules): (&ChainId, &&dyn ChainRules)| {
        let named = floor.assets.iter().filter(|asset| asset.chain == chain.as_str());
        let assets = named.map(|asset| {
            let contract = effective::contract(&asset.asset, *rules)?;
            Ok(Asset { symbol: asset.symbol.clone(), contract })
        });
        Ok((chain.clone(), assets.collect::<Result<_, _>>()?))
    };
    served.iter().map(of_chain).collect()
}
