//! Local policies and limits as they are compared: parsed, in canonical form, joined.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chain::{Amount, ChainId, ChainRules};
use custody::{config::Limit, local_policy::OperationKind};
use ed25519_dalek::VerifyingKey;

use crate::{
    Payees, PolicyError, Scope, Window, error,
    typed::{TypedAsset, TypedLimits, TypedPolicy, windows},
};

/// The chains that are served, with their rules.
pub(crate) type Served<'a> = BTreeMap<ChainId, &'a dyn ChainRules>;

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
    /// Wallets of the custody need not be on the list.
    pub(crate) internal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssetPolicy {
    /// Display form; absent: the native coin.
    pub(crate) contract: Option<String>,
    /// Sorted, one per scope, length and payees.
    pub(crate) windows: Vec<Window>,
    pub(crate) external: Limits,
    pub(crate) internal: Limits,
}

/// Limits of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) per_transaction: Amount,
    /// Delays in milliseconds of payments above an amount; a higher amount has a longer delay.
    pub(crate) time_locks: Vec<(Amount, u64)>,
    /// How long after its wait a payment can be signed, milliseconds.
    pub(crate) lapse_ms: u64,
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
    pub(crate) fn of(policy: &TypedPolicy, served: &Served<'_>) -> Result<Self, PolicyError> {
        let of_chain =
            |(chain, rules): (&ChainId, &&dyn ChainRules)| Ok((chain.clone(), ChainPolicy::of(policy, *rules)?));
        Ok(Self {
            kinds: policy.kinds.clone(),
            intent_signers: (!policy.intent_signers.is_empty()).then(|| policy.intent_signers.clone()),
            chains: served.iter().map(of_chain).collect::<Result<_, PolicyError>>()?,
        })
    }

    /// The manifest's safe destinations: the same for every local policy.
    pub(crate) fn add_safe_destinations(
        &mut self,
        safe: &BTreeMap<String, Vec<String>>,
        served: &Served<'_>,
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
            for limits in [&mut asset.external, &mut asset.internal] {
                limits.per_transaction = limits.per_transaction.min(limit.per_transaction);
            }
            asset.windows = merge_windows(asset.windows.iter().chain(&limit.windows));
        }
    }
}

impl ChainPolicy {
    fn of(policy: &TypedPolicy, rules: &dyn ChainRules) -> Result<Self, PolicyError> {
        let chain = rules.id();
        let assets = policy.assets.iter().filter(|asset| asset.chain == *chain);
        let assets = assets.map(|asset| Ok((asset.symbol.clone(), AssetPolicy::of(asset, rules)?)));
        let destinations = policy.destinations.as_ref().map(|destinations| {
            let here = destinations.allow.iter().filter(|(listed, _)| listed == chain);
            let allow = here.map(|(_, address)| rules.address(address).map_err(error::local_policy));
            let (cooling_ms, internal) = (destinations.cooling_ms, destinations.internal);
            Ok(Destinations { allow: allow.collect::<Result<_, _>>()?, cooling_ms, internal })
        });
        Ok(Self {
            assets: assets.collect::<Result<_, PolicyError>>()?,
            destinations: destinations.transpose()?,
            fee: policy.fees.get(chain).copied().unwrap_or_default(),
            safe: BTreeSet::new(),
        })
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
                internal: own.internal && other.internal,
            }),
            (own, other) => own.or_else(|| other.clone()),
        };
    }
}

impl AssetPolicy {
    fn of(asset: &TypedAsset, rules: &dyn ChainRules) -> Result<Self, PolicyError> {
        Ok(Self {
            contract: contract(asset, rules)?,
            windows: merge_windows(&asset.windows),
            external: Limits::of(&asset.external),
            internal: Limits::of(&asset.internal),
        })
    }

    fn and(&mut self, other: &Self) {
        self.windows = merge_windows(self.windows.iter().chain(&other.windows));
        self.external.and(&other.external);
        self.internal.and(&other.internal);
    }

    /// Of a payment to these; one to both kinds keeps both.
    pub(crate) fn limits(&self, payees: Payees) -> Cow<'_, Limits> {
        match payees {
            Payees::External => Cow::Borrowed(&self.external),
            Payees::Internal => Cow::Borrowed(&self.internal),
            Payees::All => {
                let mut both = self.external.clone();
                both.and(&self.internal);
                Cow::Owned(both)
            }
        }
    }
}

impl Limits {
    fn of(limits: &TypedLimits) -> Self {
        Self {
            per_transaction: limits.per_transaction,
            time_locks: limits.time_lock.into_iter().collect(),
            lapse_ms: limits.lapse_ms,
            intent_above: limits.intent_above,
        }
    }

    fn and(&mut self, other: &Self) {
        self.per_transaction = self.per_transaction.min(other.per_transaction);
        self.time_locks = merge_locks(self.time_locks.iter().chain(&other.time_locks));
        self.lapse_ms = self.lapse_ms.min(other.lapse_ms);
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
    let windows = windows(Payees::All, &limit.per_wallet, &limit.total)?;
    let per_transaction = limit.per_transaction.parse().map_err(|error: chain::ChainError| error.to_string())?;
    Ok(HubLimit { chain: chain.clone(), asset: limit.asset.clone(), per_transaction, windows })
}

/// The contract of an asset in display form; `None` for the native coin.
pub(crate) fn contract(asset: &TypedAsset, rules: &dyn ChainRules) -> Result<Option<String>, PolicyError> {
    asset.contract.as_deref().map(|contract| rules.address(contract).map_err(error::local_policy)).transpose()
}

/// The lowest limit of each scope, length and payees.
fn merge_windows<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Vec<Window> {
    let mut lowest: BTreeMap<(Scope, u64, Payees), Amount> = BTreeMap::new();
    for Window { scope, length_ms, payees, limit } in windows {
        let kept = lowest.entry((*scope, *length_ms, *payees)).or_insert(*limit);
        *kept = (*kept).min(*limit);
    }
    let window = |((scope, length_ms, payees), limit)| Window { scope, length_ms, payees, limit };
    lowest.into_iter().map(window).collect()
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
