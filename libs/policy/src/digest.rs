//! The digest of a policy, by which others see that two signers, or one signer at two times, decide alike.
//!
//! It is SHA-256 over the text `multisig.policy.v1`, a zero byte, and a document: JSON without white space, its fields
//! in the order and by the names below, maps and lists sorted, absent fields left out, amounts as decimal strings,
//! times in milliseconds. A test holds the digest of one policy, so that no change to this program changes what is
//! hashed by accident.

use std::collections::{BTreeMap, BTreeSet};

use chain::Amount;
use custody::local_policy::{MAX_LAPSE_SECONDS, OperationKind};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    Payees, Scope,
    effective::{AssetPolicy, ChainPolicy, Effective, Limits},
};

/// A digest of one kind is none of another.
const DOMAIN: &[u8] = b"multisig.policy.v1\0";

/// All that holds.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "kinds")]
    kinds: BTreeSet<&'static str>,
    /// Public keys, hex; absent where no local policy names any.
    #[serde(rename = "intentSigners", skip_serializing_if = "Option::is_none")]
    intent_signers: Option<BTreeSet<String>>,
    /// By chain id.
    #[serde(rename = "chains")]
    chains: BTreeMap<&'a str, ChainDocument<'a>>,
}

#[derive(Serialize)]
struct ChainDocument<'a> {
    #[serde(rename = "fee")]
    fee: Amount,
    #[serde(rename = "safeDestinations")]
    safe: &'a BTreeSet<String>,
    /// Absent: anywhere.
    #[serde(rename = "destinations", skip_serializing_if = "Option::is_none")]
    destinations: Option<DestinationsDocument<'a>>,
    /// By symbol.
    #[serde(rename = "assets")]
    assets: BTreeMap<&'a str, AssetDocument<'a>>,
}

#[derive(Serialize)]
struct DestinationsDocument<'a> {
    #[serde(rename = "allow")]
    allow: &'a BTreeSet<String>,
    #[serde(rename = "coolingMs")]
    cooling_ms: u64,
    /// Left out where it is false.
    #[serde(rename = "internal", skip_serializing_if = "std::ops::Not::not")]
    internal: bool,
}

#[derive(Serialize)]
struct AssetDocument<'a> {
    /// Absent: the native coin.
    #[serde(rename = "contract", skip_serializing_if = "Option::is_none")]
    contract: Option<&'a str>,
    #[serde(rename = "perTransaction")]
    per_transaction: Amount,
    /// By scope, length and payees.
    #[serde(rename = "windows")]
    windows: Vec<WindowDocument>,
    /// By amount.
    #[serde(rename = "timeLocks")]
    time_locks: Vec<TimeLockDocument>,
    /// Left out where it is the longest.
    #[serde(rename = "lapseMs", skip_serializing_if = "Option::is_none")]
    lapse_ms: Option<u64>,
    #[serde(rename = "intentAbove", skip_serializing_if = "Option::is_none")]
    intent_above: Option<Amount>,
    /// Of internal payments; left out where they are no others.
    #[serde(rename = "internal", skip_serializing_if = "Option::is_none")]
    internal: Option<LimitsDocument>,
}

#[derive(Serialize)]
struct LimitsDocument {
    #[serde(rename = "perTransaction")]
    per_transaction: Amount,
    /// By amount.
    #[serde(rename = "timeLocks")]
    time_locks: Vec<TimeLockDocument>,
    /// Left out where it is the longest.
    #[serde(rename = "lapseMs", skip_serializing_if = "Option::is_none")]
    lapse_ms: Option<u64>,
    #[serde(rename = "intentAbove", skip_serializing_if = "Option::is_none")]
    intent_above: Option<Amount>,
}

#[derive(Serialize)]
struct WindowDocument {
    /// `wallet` or `total`.
    #[serde(rename = "scope")]
    scope: &'static str,
    #[serde(rename = "lengthMs")]
    length_ms: u64,
    /// `external` or `internal`; left out where all payments count.
    #[serde(rename = "payees", skip_serializing_if = "Option::is_none")]
    payees: Option<&'static str>,
    #[serde(rename = "limit")]
    limit: Amount,
}

#[derive(Serialize)]
struct TimeLockDocument {
    #[serde(rename = "above")]
    above: Amount,
    #[serde(rename = "delayMs")]
    delay_ms: u64,
}

pub(crate) fn digest(policy: &Effective) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(serde_json::to_vec(&document(policy)).expect("string keys only"));
    hash.finalize().into()
}

fn document(Effective { kinds, intent_signers, chains }: &Effective) -> Document<'_> {
    let signers = intent_signers.as_ref();
    Document {
        kinds: kinds.iter().map(kind).collect(),
        intent_signers: signers.map(|keys| keys.iter().map(|key| HEXLOWER.encode(key.as_bytes())).collect()),
        chains: chains.iter().map(|(id, policy)| (id.as_str(), chain(policy))).collect(),
    }
}

fn kind(kind: &OperationKind) -> &'static str {
    match kind {
        OperationKind::Transfer => "transfer",
        OperationKind::Cancel => "cancel",
    }
}

fn chain(ChainPolicy { assets, destinations, fee, safe }: &ChainPolicy) -> ChainDocument<'_> {
    let destinations = destinations.as_ref();
    ChainDocument {
        fee: *fee,
        safe,
        destinations: destinations.map(|it| DestinationsDocument {
            allow: &it.allow,
            cooling_ms: it.cooling_ms,
            internal: it.internal,
        }),
        assets: assets.iter().map(|(symbol, policy)| (symbol.as_str(), asset(policy))).collect(),
    }
}

fn asset(policy: &AssetPolicy) -> AssetDocument<'_> {
    let AssetPolicy { contract, windows, external, internal } = policy;
    let scope = |scope: Scope| match scope {
        Scope::Wallet => "wallet",
        Scope::Total => "total",
    };
    let payees = |payees: Payees| match payees {
        Payees::All => None,
        Payees::External => Some("external"),
        Payees::Internal => Some("internal"),
    };
    let windows = windows.iter().map(|it| WindowDocument {
        scope: scope(it.scope),
        length_ms: it.length_ms,
        payees: payees(it.payees),
        limit: it.limit,
    });
    let LimitsDocument { per_transaction, time_locks, lapse_ms, intent_above } = limits(external);
    AssetDocument {
        contract: contract.as_deref(),
        per_transaction,
        windows: windows.collect(),
        time_locks,
        lapse_ms,
        intent_above,
        internal: (internal != external).then(|| limits(internal)),
    }
}

fn limits(Limits { per_transaction, time_locks, lapse_ms, intent_above }: &Limits) -> LimitsDocument {
    let lock = |(above, delay_ms): &(Amount, u64)| TimeLockDocument { above: *above, delay_ms: *delay_ms };
    LimitsDocument {
        per_transaction: *per_transaction,
        time_locks: time_locks.iter().map(lock).collect(),
        lapse_ms: Some(*lapse_ms).filter(|lapse| *lapse != MAX_LAPSE_SECONDS * 1000),
        intent_above: *intent_above,
    }
}
