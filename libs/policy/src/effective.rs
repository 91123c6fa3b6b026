//! Local policies and limits as they are compared: parsed, in canonical form, joined.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, ChainId, ChainRules};
use custody::{
    config::Limit,
    local_policy::{AssetLimits, LocalPolicy, MAX_SECONDS, OperationKind, Rolling},
};
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::{PolicyError, Scope, Window, error};

/// What one local policy, or several together, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) kinds: BTreeSet<OperationKind>,
    /// Absent: no local policy names any. Empty: each local policy names others, so nobody is believed.
    pub(crate) intent_signers: Option<Vec<VerifyingKey>>,
    pub(crate) chains: BTreeMap<ChainId, ChainPolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChainPolicy {
    /// By symbol.
    pub(crate) assets: BTreeMap<String, AssetPolicy>,
    /// Absent: anywhere.
    pub(crate) destinations: Option<Destinations>,
    /// Highest fee.
    pub(crate) fee: Amount,
    /// Where a cancel may go, display form.
    pub(crate) safe: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destinations {
    /// Display form.
    pub(crate) allow: BTreeSet<String>,
    pub(crate) cooling_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssetPolicy {
    /// Display form; absent: the native coin.
    contract: Option<String>,
    pub(crate) per_transaction: Amount,
    /// Sorted, one per scope and length.
    pub(crate) windows: Vec<Window>,
    /// Delays in milliseconds of payments above an amount; a higher amount has a longer delay.
    pub(crate) time_locks: Vec<(Amount, u64)>,
    pub(crate) intent_above: Option<Amount>,
}

/// A limit of the hub, parsed.
pub(crate) struct HubLimit {
    chain: ChainId,
    asset: String,
    per_transaction: Amount,
    windows: Vec<Window>,
}

impl Effective {
    /// What a local policy says of these chains.
    pub(crate) fn of(
        local_policy: &LocalPolicy,
        served: &BTreeMap<ChainId, &dyn ChainRules>,
    ) -> Result<Self, PolicyError> {
        local_policy.validate().map_err(error::local_policy)?;
        let mut chains = BTreeMap::new();
        for (chain, rules) in served {
            chains.insert(chain.clone(), ChainPolicy::of(local_policy, *rules)?);
        }
        let key = |hex: &String| {
            custody::identity::ed25519_key(hex).ok_or_else(|| error::local_policy(format!("intent signer {hex}")))
        };
        let signers = local_policy.intent_signers.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            kinds: local_policy.kinds.clone().unwrap_or_else(|| OperationKind::ALL.into()),
            intent_signers: (!signers.is_empty()).then_some(signers),
            chains,
        })
    }

    /// The manifest's safe destinations: the same for every local policy.
    pub(crate) fn add_safe_destinations(
        &mut self,
        safe: &BTreeMap<String, Vec<String>>,
        served: &BTreeMap<ChainId, &dyn ChainRules>,
    ) -> Result<(), PolicyError> {
        for (chain, rules) in served {
            let named = safe.get(chain.as_str()).into_iter().flatten();
            let canonical = named.map(|address| rules.address(address));
            let canonical = canonical
                .collect::<Result<BTreeSet<_>, _>>()
                .map_err(|error| PolicyError::SafeDestination(error.to_string()))?;
            self.chains.entry(chain.clone()).or_default().safe.extend(canonical);
        }
        Ok(())
    }

    pub(crate) fn asset(&self, chain: &ChainId, symbol: &str) -> Option<&AssetPolicy> {
        self.chains.get(chain)?.assets.get(symbol)
    }

    /// From now on `other` holds too.
    pub(crate) fn and(&mut self, other: &Self) {
        self.kinds.retain(|kind| other.kinds.contains(kind));
        self.intent_signers = match (self.intent_signers.take(), &other.intent_signers) {
            (Some(own), Some(others)) => Some(own.into_iter().filter(|key| others.contains(key)).collect()),
            (own, others) => own.or_else(|| others.clone()),
        };
        for (chain, policy) in &mut self.chains {
            match other.chains.get(chain) {
                Some(other) => policy.and(other),
                None => policy.assets.clear(),
            }
        }
    }

    /// The hub's limits hold too.
    pub(crate) fn tighten(&mut self, limits: &[HubLimit]) {
        for limit in limits {
            let asset = self.chains.get_mut(&limit.chain).and_then(|chain| chain.assets.get_mut(&limit.asset));
            // Named by the present local policy and not by an earlier one: does not move anyway.
            let Some(asset) = asset else { continue };
            asset.per_transaction = asset.per_transaction.min(limit.per_transaction);
            asset.windows = merge_windows(asset.windows.iter().chain(&limit.windows));
        }
    }

    /// One line per thing that holds. Debug forms name every field and quote text, so no two policies read alike.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("kinds {:?}\n", self.kinds));
        if let Some(signers) = &self.intent_signers {
            let signers: BTreeSet<_> = signers.iter().map(|key| HEXLOWER.encode(key.as_bytes())).collect();
            hash.update(format!("intent signers {signers:?}\n"));
        }
        for (chain, ChainPolicy { assets, destinations, fee, safe }) in &self.chains {
            hash.update(format!("chain {chain} fee {fee} safe {safe:?} destinations {destinations:?}\n"));
            for (symbol, asset) in assets {
                hash.update(format!("asset {symbol} {asset:?}\n"));
            }
        }
        hash.finalize().into()
    }
}

impl ChainPolicy {
    fn of(local_policy: &LocalPolicy, rules: &dyn ChainRules) -> Result<Self, PolicyError> {
        let chain = rules.id().as_str();
        let mut policy = Self::default();
        for asset in local_policy.assets.iter().filter(|asset| asset.chain == chain) {
            policy.assets.insert(asset.symbol.clone(), AssetPolicy::of(asset, rules)?);
        }
        if let Some(fee) = local_policy.fees.iter().find(|fee| fee.chain == chain) {
            policy.fee = amount(&fee.ceiling)?;
        }
        if let Some(destinations) = &local_policy.destinations {
            let here = destinations.allow.iter().filter(|destination| destination.chain == chain);
            let allow = here.map(|destination| rules.address(&destination.address).map_err(error::local_policy));
            policy.destinations = Some(Destinations {
                allow: allow.collect::<Result<_, _>>()?,
                cooling_ms: milliseconds(destinations.cooling_seconds)?,
            });
        }
        Ok(policy)
    }

    fn and(&mut self, other: &Self) {
        self.assets.retain(|symbol, asset| match other.assets.get(symbol) {
            Some(other) if other.contract == asset.contract => {
                asset.and(other);
                true
            }
            _ => false,
        });
        self.fee = self.fee.min(other.fee);
        self.destinations = match (self.destinations.take(), &other.destinations) {
            (Some(own), Some(other)) => Some(Destinations {
                allow: own.allow.intersection(&other.allow).cloned().collect(),
                cooling_ms: own.cooling_ms.max(other.cooling_ms),
            }),
            (own, other) => own.or_else(|| other.clone()),
        };
    }
}

impl AssetPolicy {
    fn of(asset: &AssetLimits, rules: &dyn ChainRules) -> Result<Self, PolicyError> {
        let mut windows = Vec::new();
        for (scope, rolling) in [(Scope::Wallet, &asset.per_wallet), (Scope::Total, &asset.total)] {
            windows.extend(
                rolling.as_ref().map(|rolling| window(scope, rolling)).transpose().map_err(error::local_policy)?,
            );
        }
        let time_locks = match &asset.time_lock {
            Some(lock) => vec![(amount(&lock.above)?, milliseconds(lock.delay_seconds)?)],
            None => Vec::new(),
        };
        Ok(Self {
            contract: contract(&asset.asset, rules)?,
            per_transaction: amount(&asset.per_transaction)?,
            windows,
            time_locks,
            intent_above: asset.intent_above.as_deref().map(amount).transpose()?,
        })
    }

    fn and(&mut self, other: &Self) {
        self.per_transaction = self.per_transaction.min(other.per_transaction);
        self.windows = merge_windows(self.windows.iter().chain(&other.windows));
        self.time_locks = merge_locks(self.time_locks.iter().chain(&other.time_locks));
        self.intent_above = match (self.intent_above, other.intent_above) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
    }
}

/// The hub's limits, each of an asset that the present local policy has, none twice.
pub(crate) fn hub_limits(limits: &[Limit], present: &Effective) -> Result<Vec<HubLimit>, PolicyError> {
    let mut parsed: Vec<HubLimit> = Vec::new();
    for limit in limits {
        let (name, asset) = (limit.chain.clone(), limit.asset.clone());
        let known = present.chains.iter().find(|(id, _)| id.as_str() == limit.chain);
        let Some((chain, _)) = known.filter(|(_, policy)| policy.assets.contains_key(&limit.asset)) else {
            return Err(PolicyError::UnknownAsset { chain: name, asset });
        };
        if parsed.iter().any(|seen| seen.chain == *chain && seen.asset == asset) {
            return Err(PolicyError::Twice { chain: name, asset });
        }
        parsed.push(hub_limit(chain, limit).map_err(|cause| PolicyError::Limit { chain: name, asset, cause })?);
    }
    Ok(parsed)
}

fn hub_limit(chain: &ChainId, limit: &Limit) -> Result<HubLimit, String> {
    let mut windows = Vec::new();
    for (scope, rolling) in [(Scope::Wallet, &limit.per_wallet), (Scope::Total, &limit.total)] {
        windows.extend(rolling.as_ref().map(|rolling| window(scope, rolling)).transpose()?);
    }
    let per_transaction = limit.per_transaction.parse().map_err(|error: chain::ChainError| error.to_string())?;
    Ok(HubLimit { chain: chain.clone(), asset: limit.asset.clone(), per_transaction, windows })
}

/// The contract of an asset in display form; `None` for `native`.
pub(crate) fn contract(asset: &str, rules: &dyn ChainRules) -> Result<Option<String>, PolicyError> {
    (asset != "native").then(|| rules.address(asset).map_err(error::local_policy)).transpose()
}

fn window(scope: Scope, rolling: &Rolling) -> Result<Window, String> {
    let Rolling { amount, window_seconds } = rolling;
    if !(1..=MAX_SECONDS).contains(window_seconds) {
        return Err(format!("a window of {window_seconds} s; expected 1 to {MAX_SECONDS}"));
    }
    let limit = amount.parse().map_err(|error: chain::ChainError| error.to_string())?;
    Ok(Window { scope, length_ms: window_seconds * 1000, limit })
}

/// The lowest limit of each scope and length.
fn merge_windows<'a>(windows: impl Iterator<Item = &'a Window>) -> Vec<Window> {
    let mut lowest: BTreeMap<(Scope, u64), Amount> = BTreeMap::new();
    for Window { scope, length_ms, limit } in windows {
        let kept = lowest.entry((*scope, *length_ms)).or_insert(*limit);
        *kept = (*kept).min(*limit);
    }
    lowest.into_iter().map(|((scope, length_ms), limit)| Window { scope, length_ms, limit }).collect()
}

/// Without locks that another one makes needless: above a lower amount, for as long.
fn merge_locks<'a>(locks: impl Iterator<Item = &'a (Amount, u64)>) -> Vec<(Amount, u64)> {
    let mut sorted: Vec<_> = locks.copied().collect();
    sorted.sort_by_key(|(above, delay)| (*above, std::cmp::Reverse(*delay)));
    let mut kept: Vec<(Amount, u64)> = Vec::new();
    for (above, delay) in sorted {
        if kept.last().is_none_or(|(_, longest)| delay > *longest) {
            kept.push((above, delay));
        }
    }
    kept
}

fn amount(text: &str) -> Result<Amount, PolicyError> {
    text.parse().map_err(|e: chain::ChainError| error::local_policy(e))
}

fn milliseconds(seconds: u64) -> Result<u64, PolicyError> {
    seconds.checked_mul(1000).ok_or_else(|| error::local_policy(format!("{seconds} s is too long")))
}
