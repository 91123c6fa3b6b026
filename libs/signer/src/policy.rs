//! What may be signed, as a value: the floor that the data centre's admin set, tightened by the hub, never widened.
//! Pure; whatever is not named is refused.

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, ChainRules, Intent, Refusal};
use custody::{
    manifest::VerifiedManifest,
    trust::Floor,
    wiring::{self, Limit},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Why a policy can't be used: nothing is signed until it is corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A value of the floor.
    #[error("the floor is not usable: {0}; correct it with `multisig member prepare`")]
    Floor(String),
    /// The hub limits what the floor does not have: a typing error would otherwise limit nothing.
    #[error("the hub limits {asset} on {chain}, which the floor does not name; correct spec.policy.limits")]
    UnknownAsset {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
    },
    /// The hub limits an asset twice.
    #[error("the hub limits {asset} on {chain} twice; correct spec.policy.limits")]
    Twice {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
    },
    /// A limit of the hub is no amount.
    #[error("the hub's limit for {asset} on {chain} is not usable: {cause}; correct spec.policy.limits")]
    Limit {
        /// CAIP-2 chain id.
        chain: String,
        /// Symbol.
        asset: String,
        /// What is wrong.
        cause: String,
    },
    /// A chain whose wallets could not be evacuated or freed of a stuck nonce.
    #[error("the manifest names no safe destination on {0}, which the floor names; sign a manifest that has one")]
    NoSafeDestination(ChainId),
    /// A safe destination is malformed.
    #[error("a safe destination of the manifest is not usable: {0}")]
    SafeDestination(String),
}

/// The effective policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    chains: BTreeMap<ChainId, ChainPolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ChainPolicy {
    assets: Vec<Asset>,
    per_transaction: BTreeMap<String, Amount>,
    safe_destinations: Vec<String>,
}

/// The chains that a floor names.
pub fn chains(floor: &Floor) -> Result<Vec<ChainId>, PolicyError> {
    let mut chains = Vec::new();
    for asset in &floor.assets {
        let chain: ChainId = asset.chain.parse().map_err(|e: chain::ChainError| PolicyError::Floor(e.to_string()))?;
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    Ok(chains)
}

impl Policy {
    /// The strictest of floor and hub; `rules` has an adapter for every chain of the floor.
    pub fn new(
        floor: &Floor,
        hub: &wiring::Policy,
        manifest: &VerifiedManifest,
        rules: &BTreeMap<ChainId, Box<dyn ChainRules>>,
    ) -> Result<Self, PolicyError> {
        let mut policy = Self { chains: BTreeMap::new() };
        for chain in chains(floor)? {
            let rules = rules.get(&chain).ok_or_else(|| PolicyError::Floor(format!("no adapter for {chain}")))?;
            let safe_destinations = safe_destinations(manifest, rules.as_ref())?;
            policy.chains.insert(chain, ChainPolicy { safe_destinations, ..ChainPolicy::default() });
        }
        for asset in &floor.assets {
            let limit =
                asset.per_transaction.parse().map_err(|e: chain::ChainError| PolicyError::Floor(e.to_string()))?;
            let contract = (asset.asset != "native").then(|| asset.asset.clone());
            let known = policy.chains.iter_mut().find(|(chain, _)| chain.as_str() == asset.chain);
            let (_, chain) = known.ok_or_else(|| PolicyError::Floor(format!("no chain {}", asset.chain)))?;
            chain.assets.push(Asset { symbol: asset.symbol.clone(), contract });
            chain.per_transaction.insert(asset.symbol.clone(), limit);
        }
        policy.tighten(&hub.limits)?;
        Ok(policy)
    }

    fn tighten(&mut self, limits: &[Limit]) -> Result<(), PolicyError> {
        let mut seen = Vec::new();
        for Limit { chain, asset, per_transaction, per_wallet: _, total: _ } in limits {
            let (chain, asset) = (chain.clone(), asset.clone());
            let floor = self
                .chains
                .iter_mut()
                .find(|(known, _)| known.as_str() == chain)
                .and_then(|(_, policy)| policy.per_transaction.get_mut(&asset));
            let Some(floor) = floor else {
                return Err(PolicyError::UnknownAsset { chain, asset });
            };
            if seen.contains(&(chain.clone(), asset.clone())) {
                return Err(PolicyError::Twice { chain, asset });
            }
            match per_transaction.parse::<Amount>() {
                Ok(limit) => *floor = limit.min(*floor),
                Err(error) => return Err(PolicyError::Limit { chain, asset, cause: error.to_string() }),
            }
            seen.push((chain, asset));
        }
        Ok(())
    }

    /// The assets that may move on a chain; empty for a chain that the floor does not name.
    pub fn assets(&self, chain: &ChainId) -> &[Asset] {
        self.chains.get(chain).map_or(&[], |policy| &policy.assets)
    }

    /// Whether this effect is allowed.
    pub fn judge(&self, chain: &ChainId, intent: &Intent) -> Result<(), Refusal> {
        let Some(policy) = self.chains.get(chain) else {
            return Err(refused("ChainNotAllowed", format!("the floor names no asset on {chain}")));
        };
        match intent {
            Intent::Transfer { asset, amount, .. } => match policy.per_transaction.get(asset) {
                None => Err(refused("AssetNotAllowed", format!("the floor does not name {asset} on {chain}"))),
                Some(limit) if amount > limit => {
                    let message = format!("{amount} of {asset} on {chain} is more than {limit} for one transaction");
                    Err(refused("OverLimit", message))
                }
                Some(_) => Ok(()),
            },
            Intent::Cancel { to } if policy.safe_destinations.contains(to) => Ok(()),
            Intent::Cancel { to } => {
                let message = format!("a cancel goes to a safe destination of the manifest; {to} is none on {chain}");
                Err(refused("NotASafeDestination", message))
            }
        }
    }

    /// SHA-256 over the effective limits, lower-case hex: what the report shows.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (chain, policy) in &self.chains {
            for (asset, limit) in &policy.per_transaction {
                hash.update(format!("{chain} {asset} {limit}\n"));
            }
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

/// The manifest's safe destinations in the chain's display form, at least one.
fn safe_destinations(manifest: &VerifiedManifest, rules: &dyn ChainRules) -> Result<Vec<String>, PolicyError> {
    let chain = rules.id();
    let named = manifest.safe_destinations(chain.as_str());
    if named.is_empty() {
        return Err(PolicyError::NoSafeDestination(chain.clone()));
    }
    named
        .iter()
        .map(|address| rules.address(address).map_err(|error| PolicyError::SafeDestination(error.to_string())))
        .collect()
}

/// A refusal with its stable reason.
pub(crate) fn refused(reason: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{CHAIN, Custody, SAFE, floor, transfer};

    const ETH: u128 = 1_000_000_000_000_000_000;

    fn policy(limits: &[(&str, &str, &str)]) -> Result<Policy, PolicyError> {
        let limit = |&(chain, asset, limit): &(&str, &str, &str)| Limit {
            chain: chain.to_owned(),
            asset: asset.to_owned(),
            per_transaction: limit.to_owned(),
            per_wallet: None,
            total: None,
        };
        let hub = wiring::Policy { limits: limits.iter().map(limit).collect() };
        let rules = crate::chains::rules(chains(&floor()).unwrap()).unwrap();
        Policy::new(&floor(), &hub, &Custody::new().manifest(), &rules)
    }

    fn judge(policy: &Policy, intent: &Intent) -> Result<(), &'static str> {
        policy.judge(&CHAIN.parse().unwrap(), intent).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_strictest_of_floor_and_hub_holds() {
        let table: &[(Option<&str>, u128, Result<(), &str>)] = &[
            (None, ETH, Ok(())),
            (None, ETH + 1, Err("OverLimit")),
            (Some("5"), 5, Ok(())),
            (Some("5"), 6, Err("OverLimit")),
            (Some("0"), 1, Err("OverLimit")),
            (Some("2000000000000000000"), ETH, Ok(())),
            (Some("2000000000000000000"), ETH + 1, Err("OverLimit")),
        ];
        for (hub, amount, verdict) in table {
            let limits: Vec<_> = hub.iter().map(|limit| (CHAIN, "ETH", *limit)).collect();
            let policy = policy(&limits).unwrap();
            assert_eq!(judge(&policy, &transfer("ETH", *amount)), *verdict, "{hub:?} {amount}");
            assert_eq!(judge(&policy, &transfer("USDT", 1_000_000_000)), Ok(()), "another asset keeps its limit");
        }
    }

    #[test]
    fn what_the_floor_does_not_name_never_moves() {
        let policy = policy(&[]).unwrap();
        assert_eq!(judge(&policy, &transfer("OTHER", 0)), Err("AssetNotAllowed"));
        let elsewhere = policy.judge(&"eip155:1".parse().unwrap(), &transfer("ETH", 1)).unwrap_err();
        assert_eq!(elsewhere.reason, "ChainNotAllowed");
        assert!(policy.assets(&"eip155:1".parse().unwrap()).is_empty());
    }

    #[test]
    fn a_cancel_goes_to_a_safe_destination_only() {
        let policy = policy(&[(CHAIN, "ETH", "0")]).unwrap();
        assert_eq!(judge(&policy, &Intent::Cancel { to: SAFE.to_owned() }), Ok(()));
        let elsewhere = Intent::Cancel { to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned() };
        assert_eq!(judge(&policy, &elsewhere), Err("NotASafeDestination"));
    }

    #[test]
    fn limits_that_would_limit_nothing_are_not_loaded() {
        let unknown = |asset: &str| PolicyError::UnknownAsset { chain: CHAIN.to_owned(), asset: asset.to_owned() };
        assert_eq!(policy(&[(CHAIN, "eth", "1")]), Err(unknown("eth")));
        assert!(matches!(policy(&[("eip155:1", "ETH", "1")]), Err(PolicyError::UnknownAsset { .. })));
        assert!(matches!(policy(&[(CHAIN, "ETH", "1"), (CHAIN, "ETH", "2")]), Err(PolicyError::Twice { .. })));
        for amount in ["", "1.5", "-1", "0x1", "1e18"] {
            assert!(matches!(policy(&[(CHAIN, "ETH", amount)]), Err(PolicyError::Limit { .. })), "{amount}");
        }
    }

    #[test]
    fn a_chain_without_safe_destination_is_not_served() {
        let mut floor = floor();
        floor.assets[0].chain = "eip155:1".to_owned();
        let rules = crate::chains::rules(chains(&floor).unwrap()).unwrap();
        let outcome = Policy::new(&floor, &wiring::Policy::default(), &Custody::new().manifest(), &rules);
        assert_eq!(outcome, Err(PolicyError::NoSafeDestination("eip155:1".parse().unwrap())));
    }

    #[test]
    fn the_digest_names_the_effective_limits() {
        let (floor, same, tighter) =
            (policy(&[]), policy(&[(CHAIN, "ETH", "9000000000000000000")]), policy(&[(CHAIN, "ETH", "1")]));
        let (floor, same, tighter) = (floor.unwrap().digest(), same.unwrap().digest(), tighter.unwrap().digest());
        assert_eq!(floor, same);
        assert_ne!(floor, tighter);
    }
}
