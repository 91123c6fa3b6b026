//! What may be signed, as a value: the local policy that the data centre's admin set, the earlier local policies that still hold, and
//! the hub's limits. All of them hold together, so the hub only tightens, a stricter local policy holds at once and a looser
//! one waits. No IO, no clock, no randomness; whatever is not named is refused.

mod effective;
mod error;
mod judge;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, ChainRules};
use custody::{local_policy::LocalPolicy, manifest::VerifiedManifest};

pub use error::PolicyError;
pub use judge::{Facts, Finding, Outcome, Rule, Verdict};

use effective::Effective;

/// The effective policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    assets: BTreeMap<ChainId, Vec<Asset>>,
    /// All local policies and the hub.
    effective: Effective,
    /// The present local policy and the hub: what will hold when the earlier local policies have ended.
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

/// The chains that a local policy names.
pub fn chains(local_policy: &LocalPolicy) -> Result<Vec<ChainId>, PolicyError> {
    let mut chains = Vec::new();
    for asset in &local_policy.assets {
        let chain: ChainId = asset.chain.parse().map_err(|e: chain::ChainError| error::local_policy(e))?;
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    Ok(chains)
}

impl Policy {
    /// The strictest of all. `local_policy` is the present one; `held` are earlier ones whose loosening delay has not passed.
    /// `rules` has an adapter for every chain of `local_policy`.
    pub fn new(
        local_policy: &LocalPolicy,
        held: &[LocalPolicy],
        hub: &custody::config::HubLimits,
        manifest: &VerifiedManifest,
        rules: &BTreeMap<ChainId, Box<dyn ChainRules>>,
    ) -> Result<Self, PolicyError> {
        let safe = &manifest.manifest().safe_destinations;
        let unsafe_chain = |chain: &ChainId| safe.get(chain.as_str()).is_none_or(Vec::is_empty);
        if let Some(chain) = chains(local_policy)?.into_iter().find(unsafe_chain) {
            return Err(PolicyError::NoSafeDestination(chain));
        }
        Self::unvouched(local_policy, held, hub, safe, rules)
    }

    /// The same with safe destinations, by CAIP-2 chain id, that no manifest vouches for: to explain a decision
    /// offline. A chain without any has no cancel.
    pub fn unvouched(
        local_policy: &LocalPolicy,
        held: &[LocalPolicy],
        hub: &custody::config::HubLimits,
        safe: &BTreeMap<String, Vec<String>>,
        rules: &BTreeMap<ChainId, Box<dyn ChainRules>>,
    ) -> Result<Self, PolicyError> {
        let mut served = BTreeMap::new();
        for chain in chains(local_policy)? {
            let adapter = rules.get(&chain).ok_or_else(|| error::local_policy(format!("no adapter for {chain}")))?;
            served.insert(chain, adapter.as_ref());
        }
        let mut present = Effective::of(local_policy, &served)?;
        present.add_safe_destinations(safe, &served)?;
        let mut effective = present.clone();
        for local_policy in held {
            effective.and(&Effective::of(local_policy, &served)?);
        }
        let limits = effective::hub_limits(&hub.limits, &present)?;
        present.tighten(&limits);
        effective.tighten(&limits);
        let digest = effective.digest();
        Ok(Self { assets: assets(local_policy, &served)?, effective, present, digest })
    }

    /// The assets of the present local policy on a chain; empty for a chain that it does not name.
    pub fn assets(&self, chain: &ChainId) -> &[Asset] {
        self.assets.get(chain).map_or(&[], Vec::as_slice)
    }

    /// The rolling limits of an asset, of all local policies and the hub, in a fixed order: by scope and length.
    pub fn windows(&self, chain: &ChainId, asset: &str) -> &[Window] {
        self.effective.asset(chain, asset).map_or(&[], |asset| &asset.windows)
    }

    /// SHA-256 over everything that holds: equal for policies that decide alike.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

fn assets(
    local_policy: &LocalPolicy,
    served: &BTreeMap<ChainId, &dyn ChainRules>,
) -> Result<BTreeMap<ChainId, Vec<Asset>>, PolicyError> {
    let of_chain = |(chain, rules): (&ChainId, &&dyn ChainRules)| {
        let named = local_policy.assets.iter().filter(|asset| asset.chain == chain.as_str());
        let assets = named.map(|asset| {
            let contract = effective::contract(&asset.asset, *rules)?;
            Ok(Asset { symbol: asset.symbol.clone(), contract })
        });
        Ok((chain.clone(), assets.collect::<Result<_, _>>()?))
    };
    served.iter().map(of_chain).collect()
}
