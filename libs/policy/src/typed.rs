//! A local policy as values: chain ids, amounts, keys and times are read once, here.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, ChainId};
use custody::local_policy::{
    AssetLimits, InternalLimits, LocalPolicy, MAX_LAPSE_SECONDS, MAX_SECONDS, OperationKind, Rolling, TimeLock,
};
use ed25519_dalek::VerifyingKey;

use crate::{Payees, PolicyError, Scope, Window, error};

/// A local policy whose text has been read.
pub(crate) struct TypedPolicy {
    /// In the document's order.
    pub(crate) assets: Vec<TypedAsset>,
    pub(crate) destinations: Option<TypedDestinations>,
    pub(crate) kinds: BTreeSet<OperationKind>,
    pub(crate) fees: BTreeMap<ChainId, Amount>,
    pub(crate) intent_signers: Vec<VerifyingKey>,
}

pub(crate) struct TypedAsset {
    pub(crate) chain: ChainId,
    pub(crate) symbol: String,
    /// As it is written; `None` is the native coin.
    pub(crate) contract: Option<String>,
    /// Of both kinds of payment.
    pub(crate) windows: Vec<Window>,
    pub(crate) external: TypedLimits,
    /// The same where the document does not tell the kinds apart.
    pub(crate) internal: TypedLimits,
}

/// Limits of one payment.
#[derive(Clone)]
pub(crate) struct TypedLimits {
    pub(crate) per_transaction: Amount,
    /// Above which amount, and how long, milliseconds.
    pub(crate) time_lock: Option<(Amount, u64)>,
    /// How long after its wait a payment can be signed, milliseconds.
    pub(crate) lapse_ms: u64,
    pub(crate) intent_above: Option<Amount>,
}

pub(crate) struct TypedDestinations {
    /// Addresses as they are written.
    pub(crate) allow: Vec<(ChainId, String)>,
    pub(crate) cooling_ms: u64,
    /// Wallets of the custody need not be on the list.
    pub(crate) internal: bool,
}

impl TypedPolicy {
    pub(crate) fn read(policy: &LocalPolicy) -> Result<Self, PolicyError> {
        policy.validate().map_err(error::local_policy)?;
        let key = |hex: &String| {
            custody::identity::ed25519_key(hex).ok_or_else(|| error::local_policy(format!("intent signer {hex}")))
        };
        let destinations = policy.destinations.as_ref().map(|list| {
            let allow = list.allow.iter().map(|listed| Ok((chain(&listed.chain)?, listed.address.clone())));
            let allow = allow.collect::<Result<_, PolicyError>>()?;
            Ok(TypedDestinations { allow, cooling_ms: milliseconds(list.cooling_seconds)?, internal: list.internal })
        });
        let fees = policy.fees.iter().map(|fee| Ok((chain(&fee.chain)?, amount(&fee.ceiling)?)));
        Ok(Self {
            assets: policy.assets.iter().map(TypedAsset::read).collect::<Result<_, _>>()?,
            destinations: destinations.transpose()?,
            kinds: policy.kinds.clone().unwrap_or_else(|| OperationKind::ALL.into()),
            fees: fees.collect::<Result<_, PolicyError>>()?,
            intent_signers: policy.intent_signers.iter().map(key).collect::<Result<_, _>>()?,
        })
    }

    /// The chains that it names, each once, in the document's order.
    pub(crate) fn chains(&self) -> Vec<ChainId> {
        let mut seen = BTreeSet::new();
        self.assets.iter().map(|asset| &asset.chain).filter(|chain| seen.insert(*chain)).cloned().collect()
    }
}

impl TypedAsset {
    fn read(limits: &AssetLimits) -> Result<Self, PolicyError> {
        let external = TypedLimits::read(&limits.per_transaction, &limits.time_lock, &limits.intent_above)?;
        let of = |payees, per_wallet, total| windows(payees, per_wallet, total).map_err(error::local_policy);
        let (windows, internal) = match &limits.internal {
            None => (of(Payees::All, &limits.per_wallet, &limits.total)?, external.clone()),
            Some(InternalLimits { per_transaction, per_wallet, total, time_lock, intent_above }) => {
                let windows = [
                    of(Payees::External, &limits.per_wallet, &limits.total)?,
                    of(Payees::Internal, per_wallet, total)?,
                ];
                (windows.concat(), TypedLimits::read(per_transaction, time_lock, intent_above)?)
            }
        };
        Ok(Self {
            chain: chain(&limits.chain)?,
            symbol: limits.symbol.clone(),
            contract: (limits.asset != "native").then(|| limits.asset.clone()),
            windows,
            external,
            internal,
        })
    }
}

impl TypedLimits {
    fn read(
        per_transaction: &str,
        time_lock: &Option<TimeLock>,
        intent_above: &Option<String>,
    ) -> Result<Self, PolicyError> {
        let lock = time_lock.as_ref();
        let lapse = lock.and_then(|lock| lock.lapses_after_seconds).unwrap_or(MAX_LAPSE_SECONDS);
        let lock = lock.map(|lock| Ok((amount(&lock.above)?, milliseconds(lock.delay_seconds)?)));
        Ok(Self {
            per_transaction: amount(per_transaction)?,
            time_lock: lock.transpose()?,
            lapse_ms: milliseconds(lapse)?,
            intent_above: intent_above.as_deref().map(amount).transpose()?,
        })
    }
}

/// Rolling limits as windows.
pub(crate) fn windows(
    payees: Payees,
    per_wallet: &Option<Rolling>,
    total: &Option<Rolling>,
) -> Result<Vec<Window>, String> {
    let named = [(Scope::Wallet, per_wallet), (Scope::Total, total)];
    named.into_iter().filter_map(|(scope, rolling)| Some(window(scope, payees, rolling.as_ref()?))).collect()
}

fn window(scope: Scope, payees: Payees, rolling: &Rolling) -> Result<Window, String> {
    let Rolling { amount, window_seconds } = rolling;
    if !(1..=MAX_SECONDS).contains(window_seconds) {
        return Err(format!("a window of {window_seconds} s; expected 1 to {MAX_SECONDS}"));
    }
    let limit = amount.parse().map_err(|error: chain::ChainError| error.to_string())?;
    Ok(Window { scope, length_ms: window_seconds * 1000, payees, limit })
}

fn chain(text: &str) -> Result<ChainId, PolicyError> {
    text.parse().map_err(|error: chain::ChainError| error::local_policy(error))
}

fn amount(text: &str) -> Result<Amount, PolicyError> {
    text.parse().map_err(|error: chain::ChainError| error::local_policy(error))
}

fn milliseconds(seconds: u64) -> Result<u64, PolicyError> {
    seconds.checked_mul(1000).ok_or_else(|| error::local_policy(format!("{seconds} s is too long")))
}
