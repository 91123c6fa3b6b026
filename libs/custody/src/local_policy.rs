//! The local policy: what a data centre's admin lets its signer sign, whatever hub and App ask for.

use std::collections::BTreeSet;

use chain::{Amount, ChainId};
use serde::{Deserialize, Serialize};

use crate::{
    error::{TrustError, invalid},
    ids::is_evm_address,
};

/// What no hub and no App can exceed. Amounts are in the asset's smallest unit (wei), decimal strings; times are
/// seconds of the signer's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalPolicy {
    /// Every asset that may move, with its limits. An asset that is not here never moves.
    pub assets: Vec<AssetLimits>,
    /// Where payments may go; absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Destinations>,
    /// Operation kinds that are signed; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<OperationKind>>,
    /// Highest fee that a signed transaction may offer, by chain; a chain that is not here: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<FeeCeiling>,
    /// Who signs intents: ed25519 public keys (RFC 8032), 64 hex digits, that App does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intent_signers: Vec<String>,
    /// How long this local policy goes on to hold after a looser one was written, seconds. A stricter one holds at once.
    #[serde(default)]
    pub loosening_delay_seconds: u64,
    /// What else than payments is signed; absent: evacuations with a signature of paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evacuation: Option<EvacuationRules>,
}

/// Who may evacuate with this signer. Money goes to the manifest's safe destinations in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvacuationRules {
    /// Whether this signer signs plans of hot and cool, which need neither the cold nor the cool phrase from paper.
    #[serde(default)]
    pub without_paper: bool,
}

/// One asset and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssetLimits {
    /// CAIP-2 chain id, for example `eip155:1`.
    pub chain: String,
    /// Symbol that people and the hub's policy use, unique per chain.
    pub symbol: String,
    /// `native`, or the contract's address (0x hex).
    pub asset: String,
    /// Decimals of the smallest unit, for people.
    pub decimals: u8,
    /// Highest amount of one payment, decimal string in the smallest unit.
    pub per_transaction: String,
    /// Highest sum of one wallet's payments in a rolling window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<Rolling>,
    /// Highest sum of all wallets' payments in a rolling window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Rolling>,
    /// Payments that wait, and can be vetoed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lock: Option<TimeLock>,
    /// Above this amount a payment needs an intent signed by one of [`LocalPolicy::intent_signers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_above: Option<String>,
    /// Limits of internal payments, to another wallet of this custody, in the place of all limits above; absent: the
    /// limits above are for both kinds, and both count in their windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<InternalLimits>,
}

/// An asset's limits of payments to other wallets of the same custody. Such a payment counts in these windows and not
/// in those of other payments; what is left out here is no limit, also where the asset has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InternalLimits {
    /// As [`AssetLimits::per_transaction`].
    pub per_transaction: String,
    /// As [`AssetLimits::per_wallet`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<Rolling>,
    /// As [`AssetLimits::total`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Rolling>,
    /// As [`AssetLimits::time_lock`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lock: Option<TimeLock>,
    /// As [`AssetLimits::intent_above`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_above: Option<String>,
}

/// A limit over time. An amount counts from its signature until its settlement is attested, and a window longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rolling {
    /// Highest sum, decimal string in the smallest unit.
    pub amount: String,
    /// Length of the window, seconds.
    pub window_seconds: u64,
}

/// Large payments wait before they are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeLock {
    /// Payments above this amount wait, decimal string in the smallest unit.
    pub above: String,
    /// How long, seconds.
    pub delay_seconds: u64,
    /// How long after its wait a payment can be signed, seconds, at most [`MAX_LAPSE_SECONDS`]; then it has to be
    /// announced anew. Absent: the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_after_seconds: Option<u64>,
}

impl TimeLock {
    /// Of payments above an amount; an announced one lapses as late as possible.
    pub fn new(above: &str, delay_seconds: u64) -> Self {
        Self { above: above.to_owned(), delay_seconds, lapses_after_seconds: None }
    }
}

/// The destinations that payments may go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destinations {
    /// All of them.
    pub allow: Vec<Destination>,
    /// How long after it was first seen here a destination is not yet paid to, seconds.
    #[serde(default)]
    pub cooling_seconds: u64,
    /// Whether wallets of this custody are paid to without being on the list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
}

/// A destination on a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// CAIP-2 chain id.
    pub chain: String,
    /// In the chain's display form.
    pub address: String,
}

/// The highest fee on a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeeCeiling {
    /// CAIP-2 chain id.
    pub chain: String,
    /// Highest fee of one transaction in the native coin's smallest unit, decimal string.
    pub ceiling: String,
}

/// Kinds of operation that a signer can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OperationKind {
    /// Moves one asset to one destination.
    Transfer,
    /// Uses up a nonce, moves nothing.
    Cancel,
}

impl OperationKind {
    /// All kinds.
    pub const ALL: [OperationKind; 2] = [OperationKind::Transfer, OperationKind::Cancel];
}

/// Longest window, delay and cooling time, seconds: a leap year.
pub const MAX_SECONDS: u64 = 366 * 24 * 3600;
/// Longest time for which an announced payment can be signed after its wait, seconds: seven days.
pub const MAX_LAPSE_SECONDS: u64 = 7 * 24 * 3600;
/// Most destinations, and most intent signers, of a local policy.
pub const MAX_DESTINATIONS: usize = 4096;
/// See [`MAX_DESTINATIONS`].
pub const MAX_INTENT_SIGNERS: usize = 16;

impl AssetLimits {
    /// An asset with its highest amount of one payment and no other limit.
    pub fn new(chain: &str, symbol: &str, asset: &str, decimals: u8, per_transaction: &str) -> Self {
        Self {
            chain: chain.to_owned(),
            symbol: symbol.to_owned(),
            asset: asset.to_owned(),
            decimals,
            per_transaction: per_transaction.to_owned(),
            per_wallet: None,
            total: None,
            time_lock: None,
            intent_above: None,
            internal: None,
        }
    }

    /// Whether a payment of any kind needs an intent above some amount.
    pub fn asks_for_intents(&self) -> bool {
        self.intent_above.is_some() || self.internal.as_ref().is_some_and(|internal| internal.intent_above.is_some())
    }

    fn validate(&self) -> Result<(), TrustError> {
        let Self { chain, symbol, asset, decimals: _, per_transaction, internal, .. } = self;
        let Self { per_wallet, total, time_lock, intent_above, .. } = self;
        check_chain(chain)?;
        if !is_symbol(symbol) {
            return invalid(format!(
                "local policy: symbol {symbol:?} on {chain} must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'"
            ));
        }
        if asset != "native" && !is_evm_address(asset) {
            return invalid(format!("local policy: asset '{asset}' is neither native nor 0x and 40 hex digits"));
        }
        check_limits(symbol, "", per_transaction, [per_wallet, total], time_lock, intent_above)?;
        let Some(internal) = internal else { return Ok(()) };
        let InternalLimits { per_transaction, per_wallet, total, time_lock, intent_above } = internal;
        check_limits(symbol, "internal.", per_transaction, [per_wallet, total], time_lock, intent_above)
    }
}

/// `under`: what their names begin with in the document.
fn check_limits(
    symbol: &str,
    under: &str,
    per_transaction: &str,
    [per_wallet, total]: [&Option<Rolling>; 2],
    time_lock: &Option<TimeLock>,
    intent_above: &Option<String>,
) -> Result<(), TrustError> {
    check_amount(symbol, &format!("{under}perTransaction"), per_transaction)?;
    for (name, rolling) in [("perWallet", per_wallet), ("total", total)] {
        if let Some(Rolling { amount, window_seconds }) = rolling {
            check_amount(symbol, &format!("{under}{name}"), amount)?;
            check_seconds(&format!("{under}{name}.windowSeconds of {symbol}"), *window_seconds, 1)?;
        }
    }
    if let Some(TimeLock { above, delay_seconds, lapses_after_seconds }) = time_lock {
        check_amount(symbol, &format!("{under}timeLock.above"), above)?;
        check_seconds(&format!("{under}timeLock.delaySeconds of {symbol}"), *delay_seconds, 1)?;
        if lapses_after_seconds.is_some_and(|lapse| !(1..=MAX_LAPSE_SECONDS).contains(&lapse)) {
            return invalid(format!(
                "local policy: {under}timeLock.lapsesAfterSeconds of {symbol} must be 1 to {MAX_LAPSE_SECONDS} seconds"
            ));
        }
    }
    let name = format!("{under}intentAbove");
    intent_above.iter().try_for_each(|above| check_amount(symbol, &name, above))
}

impl LocalPolicy {
    /// Limits of these assets and nothing else.
    pub fn new(assets: Vec<AssetLimits>) -> Self {
        Self {
            assets,
            destinations: None,
            kinds: None,
            fees: Vec::new(),
            intent_signers: Vec::new(),
            loosening_delay_seconds: 0,
            evacuation: None,
        }
    }

    /// Whether plans of hot and cool are signed.
    pub fn evacuates_without_paper(&self) -> bool {
        self.evacuation.as_ref().is_some_and(|rules| rules.without_paper)
    }

    /// At least one asset, all well-formed, none named twice.
    pub fn validate(&self) -> Result<(), TrustError> {
        let Self { assets, destinations, kinds, fees, intent_signers, loosening_delay_seconds, evacuation: _ } = self;
        if assets.is_empty() {
            return invalid("the local policy names no asset");
        }
        let (mut symbols, mut contracts) = (BTreeSet::new(), BTreeSet::new());
        for asset in assets {
            asset.validate()?;
            let AssetLimits { chain, symbol, asset, .. } = asset;
            if !symbols.insert((chain, symbol)) || !contracts.insert((chain, asset.to_ascii_lowercase())) {
                return invalid(format!("local policy: {symbol} on {chain} is listed twice"));
            }
        }
        if let Some(Destinations { allow, cooling_seconds, internal: _ }) = destinations {
            if allow.len() > MAX_DESTINATIONS {
                return invalid(format!(
                    "local policy: {} destinations, but at most {MAX_DESTINATIONS} are allowed",
                    allow.len()
                ));
            }
            allow.iter().try_for_each(|destination| check_chain(&destination.chain))?;
            check_seconds("destinations.coolingSeconds", *cooling_seconds, 0)?;
        }
        if kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return invalid("local policy: kinds is empty, so nothing would ever be signed; leave it out or list some");
        }
        let mut chains = BTreeSet::new();
        for FeeCeiling { chain, ceiling } in fees {
            check_chain(chain)?;
            check_amount(chain, "fees.ceiling", ceiling)?;
            if !chains.insert(chain) {
                return invalid(format!("local policy: the fee on {chain} is listed twice"));
            }
        }
        check_intent_signers(intent_signers)?;
        if intent_signers.is_empty() && assets.iter().any(AssetLimits::asks_for_intents) {
            return invalid(
                "local policy: intentAbove needs intentSigners; otherwise nothing above it could ever be paid",
            );
        }
        check_seconds("looseningDelaySeconds", *loosening_delay_seconds, 0)
    }

    /// What profile Production wants of a local policy beyond its being there.
    pub(crate) fn missing_in_production(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for AssetLimits { symbol, chain, per_wallet, total, internal, .. } in &self.assets {
            let mut unlimited = |what: &str| {
                let how = "run `multisig member prepare` with both";
                missing.push(format!("the local policy has no {what} limit for {symbol} on {chain}: {how}"));
            };
            if per_wallet.is_none() || total.is_none() {
                unlimited("perWallet or no total");
            }
            if internal.as_ref().is_some_and(|internal| internal.per_wallet.is_none() || internal.total.is_none()) {
                unlimited("internal.perWallet or no internal.total");
            }
        }
        if self.loosening_delay_seconds == 0 {
            missing.push(
                "the local policy has no looseningDelaySeconds: run `multisig member prepare` with a delay".to_owned(),
            );
        }
        missing
    }
}

fn check_intent_signers(signers: &[String]) -> Result<(), TrustError> {
    if signers.len() > MAX_INTENT_SIGNERS {
        return invalid(format!(
            "local policy: {} intent signers, but at most {MAX_INTENT_SIGNERS} are allowed",
            signers.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for signer in signers {
        match crate::identity::ed25519_key(signer) {
            Some(key) if !key.is_weak() => {}
            _ => {
                return invalid(format!(
                    "local policy: intent signer '{signer}' is not an ed25519 key of 64 hex digits"
                ));
            }
        }
        if !seen.insert(signer) {
            return invalid(format!("local policy: intent signer '{signer}' is listed twice"));
        }
    }
    Ok(())
}

fn check_chain(chain: &str) -> Result<(), TrustError> {
    chain.parse::<ChainId>().map(drop).or_else(|error| invalid(format!("local policy: {error}")))
}

fn check_amount(of: &str, field: &str, amount: &str) -> Result<(), TrustError> {
    if amount.parse::<Amount>().is_ok() {
        return Ok(());
    }
    invalid(format!("local policy: {field} '{amount}' of {of} is not a whole number of the smallest unit below 2^256"))
}

fn check_seconds(field: &str, seconds: u64, least: u64) -> Result<(), TrustError> {
    if (least..=MAX_SECONDS).contains(&seconds) {
        return Ok(());
    }
    invalid(format!("local policy: {field} is {seconds}; expected {least} to {MAX_SECONDS} seconds"))
}

/// Whether `text` may name an asset: 1 to 32 characters of `a-z`, `A-Z`, `0-9`, `.`, `-`, `_`. People read symbols on
/// terminals, which obey what they are sent.
pub fn is_symbol(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
