//! What may be signed, as a value: the local policy that the data centre's admin set, the earlier local policies that still hold, and
//! the hub's limits. All of them hold together, so the hub only tightens, a stricter local policy holds at once and a looser
//! one waits. No IO, no clock, no randomness; whatever is not named is refused.

mod digest;
mod effective;
mod error;
mod evacuation;
mod facts;
mod judge;
mod question;
mod rules;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, Rules};
use custody::{local_policy::LocalPolicy, manifest::VerifiedManifest};

pub use error::PolicyError;
pub use evacuation::{WithoutPaper, without_paper};
pub use facts::{Facts, payees};
pub use judge::{Finding, Verdict};
pub use rules::{Outcome, Rule};

use effective::{Effective, Served};
use typed::TypedPolicy;

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

/// Payments to whom. The kind of a payment is the signer's own knowledge, from its registry of wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payees {
    /// To anybody.
    All,
    /// To an address that is not a wallet of this custody. A transaction that pays both kinds is counted here.
    External,
    /// To other wallets of this custody and to nobody else.
    Internal,
}

/// A rolling limit. One scope, length and kind of payees has one limit: the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Whose payments.
    pub scope: Scope,
    /// How far back, milliseconds.
    pub length_ms: u64,
    /// Which payments count.
    pub payees: Payees,
    /// Highest sum, in the asset's smallest unit.
    pub limit: Amount,
}

/// The chains that a local policy names.
pub fn chains(local_policy: &LocalPolicy) -> Result<Vec<ChainId>, PolicyError> {
    Ok(TypedPolicy::read(local_policy)?.chains())
}

impl Policy {
    /// The strictest of all. `local_policy` is the present one; `held` are earlier ones whose loosening delay has not passed.
    /// `rules` has an adapter for every chain of `local_policy`.
    pub fn new(
        local_policy: &LocalPolicy,
        held: &[LocalPolicy],
        hub: &custody::config::HubLimits,
        manifest: &VerifiedManifest,
        rules: &Rules,
    ) -> Result<Self, PolicyError> {
        let safe = &manifest.manifest().safe_destinations;
        let typed = TypedPolicy::read(local_policy)?;
        let unsafe_chain = |chain: &ChainId| safe.get(chain.as_str()).is_none_or(Vec::is_empty);
        if let Some(chain) = typed.chains().into_iter().find(unsafe_chain) {
            return Err(PolicyError::NoSafeDestination(chain));
        }
        Self::load(&typed, held, hub, safe, rules)
    }

    /// The same with safe destinations, by CAIP-2 chain id, that no manifest vouches for: to explain a decision
    /// offline. A chain without any has no cancel.
    pub fn unvouched(
        local_policy: &LocalPolicy,
        held: &[LocalPolicy],
        hub: &custody::config::HubLimits,
        safe: &BTreeMap<String, Vec<String>>,
        rules: &Rules,
    ) -> Result<Self, PolicyError> {
        Self::load(&TypedPolicy::read(local_policy)?, held, hub, safe, rules)
    }

    fn load(
        local_policy: &TypedPolicy,
        held: &[LocalPolicy],
        hub: &custody::config::HubLimits,
        safe: &BTreeMap<String, Vec<String>>,
        rules: &Rules,
    ) -> Result<Self, PolicyError> {
        let chains = local_policy.chains();
        let served: Served<'_> = chains
            .into_iter()
            .map(|chain| {
                let adapter = rules.get(&chain);
                let adapter = adapter.ok_or_else(|| error::local_policy(format!("no adapter for {chain}")))?;
                Ok((chain, adapter.as_ref()))
            })
            .collect::<Result<_, PolicyError>>()?;
        let mut present = Effective::of(local_policy, &served)?;
        present.add_safe_destinations(safe, &served)?;
        let mut effective = present.clone();
        for earlier in held {
            effective.and(&Effective::of(&TypedPolicy::read(earlier)?, &served)?);
        }
        let limits = effective::hub_limits(&hub.limits, &present)?;
        present.tighten(&limits);
        effective.tighten(&limits);
        let digest = digest::digest(&effective);
        Ok(Self { assets: assets(local_policy, &served)?, effective, present, digest })
    }

    /// The assets of the present local policy on a chain; empty for a chain that it does not name.
    pub fn assets(&self, chain: &ChainId) -> &[Asset] {
        self.assets.get(chain).map_or(&[], Vec::as_slice)
    }

    /// The rolling limits of an asset, of all local policies and the hub, in a fixed order: by scope, length and payees.
    pub fn windows(&self, chain: &ChainId, asset: &str) -> &[Window] {
        self.effective.asset(chain, asset).map_or(&[], |asset| &asset.windows)
    }

    /// SHA-256 over everything that holds: equal for policies that decide alike.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

fn assets(policy: &TypedPolicy, served: &Served<'_>) -> Result<BTreeMap<ChainId, Vec<Asset>>, PolicyError> {
    let mut assets: BTreeMap<ChainId, Vec<Asset>> = BTreeMap::new();
    for (chain, rules) in served {
        for named in policy.assets.iter().filter(|asset| asset.chain == *chain) {
            let contract = effective::contract(named, *rules)?;
            assets.entry(chain.clone()).or_default().push(Asset { symbol: named.symbol.clone(), contract });
        }
    }
    Ok(assets)
}
