//! Local policies, payments and intents for the promises below.

mod internal;
mod loading;
mod properties;
mod rules;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, ChainId, Claim, Effect, Fee, Payer, Rules, Transaction, Validity};
use chain_adapters::Adapters;
use custody::{
    CustodyId,
    config::{HubLimits, Limit},
    local_policy::{
        AssetLimits, Destination, Destinations, FeeCeiling, InternalLimits, LocalPolicy, MAX_LAPSE_SECONDS, Rolling,
        TimeLock,
    },
};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use protocol::{
    attestation,
    ops::{Attestation, PaymentIntent},
};

use crate::{Facts, Finding, Payees, Policy, PolicyError, Scope, Verdict};

const CHAIN: &str = "eip155:31337";
const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const CAROL: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
const NOW: u64 = 1_000_000_000;

fn rules(local_policy: &LocalPolicy) -> Rules {
    let chains = local_policy.assets.iter().map(|asset| asset.chain.parse().unwrap());
    Adapters::all().with(test_chain::rules()).of(chains).unwrap()
}

/// 1000 wei and 1000 units of a token in one payment.
fn local_policy() -> LocalPolicy {
    let mut local_policy = LocalPolicy::new(vec![AssetLimits::new(CHAIN, "ETH", "native", 18, "1000")]);
    local_policy.assets.push(AssetLimits::new(CHAIN, "USDT", TOKEN, 6, "1000"));
    local_policy
}

fn changed(change: impl FnOnce(&mut LocalPolicy)) -> LocalPolicy {
    let mut local_policy = local_policy();
    change(&mut local_policy);
    local_policy
}

fn rolling(amount: &str, window_seconds: u64) -> Option<Rolling> {
    Some(Rolling { amount: amount.to_owned(), window_seconds })
}

fn time_lock(above: &str, delay_seconds: u64) -> Option<TimeLock> {
    Some(TimeLock::new(above, delay_seconds))
}

fn destinations(allow: &[&str], cooling_seconds: u64) -> Option<Destinations> {
    let destination = |address: &&str| Destination { chain: CHAIN.to_owned(), address: (*address).to_owned() };
    Some(Destinations { allow: allow.iter().map(destination).collect(), cooling_seconds, internal: false })
}

fn fee(ceiling: &str) -> Vec<FeeCeiling> {
    vec![FeeCeiling { chain: CHAIN.to_owned(), ceiling: ceiling.to_owned() }]
}

fn key(fill: u8) -> SigningKey {
    SigningKey::from_bytes(&[fill; 32])
}

fn signer(fill: u8) -> String {
    HEXLOWER.encode(key(fill).verifying_key().as_bytes())
}

fn limit(chain: &str, asset: &str, per_transaction: &str) -> Limit {
    Limit {
        chain: chain.to_owned(),
        asset: asset.to_owned(),
        per_transaction: per_transaction.to_owned(),
        per_wallet: None,
        total: None,
    }
}

fn hub(limits: Vec<Limit>) -> HubLimits {
    HubLimits { limits }
}

/// A policy with one safe destination.
fn load(local_policy: &LocalPolicy, held: &[LocalPolicy], hub: &HubLimits) -> Result<Policy, PolicyError> {
    let safe = BTreeMap::from([(CHAIN.to_owned(), vec![SAFE.to_owned()])]);
    Policy::unvouched(local_policy, held, hub, &safe, &rules(local_policy))
}

fn policy(local_policy: &LocalPolicy, held: &[LocalPolicy]) -> Policy {
    load(local_policy, held, &HubLimits::default()).unwrap()
}

fn transfer(asset: &str, amount: &str) -> Effect {
    Effect::Transfer { asset: asset.to_owned(), to: BOB.to_owned(), amount: amount.parse().unwrap() }
}

fn cancel(to: &str) -> Effect {
    Effect::Cancel { to: to.to_owned() }
}

/// Paid by somebody else than the wallet.
fn relayed(most: u128) -> Fee {
    Fee { asset: "ETH".to_owned(), most: most.into(), payer: Payer::Relayer }
}

/// A payment of alice and all that is known of it.
#[derive(Debug, Clone)]
struct Payment {
    chain: ChainId,
    effects: Vec<Effect>,
    fee: Fee,
    /// Destinations that are wallets of the custody.
    internal: BTreeSet<String>,
    /// By scope and length in milliseconds; what is not here: nothing.
    spent: BTreeMap<(Scope, u64), Amount>,
    /// The same of windows of internal payments alone.
    spent_internal: BTreeMap<(Scope, u64), Amount>,
    /// Of [`BOB`] and [`CAROL`].
    listed_since_ms: Option<u64>,
    intent: Option<Attestation>,
    announced_ms: Option<u64>,
    vetoed: bool,
}

impl Payment {
    fn new(effect: Effect) -> Self {
        Self {
            chain: CHAIN.parse().unwrap(),
            effects: vec![effect],
            fee: Fee { asset: String::new(), most: Amount::ZERO, payer: Payer::Relayer },
            internal: BTreeSet::new(),
            spent: BTreeMap::new(),
            spent_internal: BTreeMap::new(),
            listed_since_ms: None,
            intent: None,
            announced_ms: None,
            vetoed: false,
        }
    }

    fn ask<T>(&self, policy: &Policy, question: impl FnOnce(&Facts<'_>) -> T) -> T {
        let transaction = self.transaction();
        let counted = |asset: &str| {
            let windows = policy.windows(&self.chain, asset).iter();
            let spent = windows.map(|window| {
                let spent = if window.payees == Payees::Internal { &self.spent_internal } else { &self.spent };
                spent.get(&(window.scope, window.length_ms)).copied().unwrap_or_default()
            });
            spent.collect()
        };
        let moved = transaction.spent().unwrap_or_default().into_keys();
        let spent = moved.map(|asset| (asset.to_owned(), counted(asset))).collect();
        let listed = self.listed_since_ms.iter();
        let listed = listed.flat_map(|at| [BOB, CAROL].map(|address| (address.to_owned(), *at))).collect();
        question(&Facts {
            now_ms: NOW,
            custody_id: custody(),
            wallet: "alice",
            chain: &self.chain,
            transaction: &transaction,
            internal: &self.internal,
            spent: &spent,
            listed_since_ms: &listed,
            intent: self.intent.as_ref(),
            announced_ms: self.announced_ms,
            vetoed: self.vetoed,
        })
    }

    fn transaction(&self) -> Transaction {
        Transaction {
            id: [1; 32],
            effects: self.effects.clone(),
            fee: self.fee.clone(),
            claims: vec![Claim::Sequence(0)],
            validity: Validity::UntilClaimed,
        }
    }

    fn judge(&self, policy: &Policy) -> Verdict {
        self.ask(policy, |facts| policy.judge(facts))
    }

    fn explain(&self, policy: &Policy) -> Vec<Finding> {
        self.ask(policy, |facts| policy.explain(facts))
    }
}

fn custody() -> CustodyId {
    CustodyId::from_slice(&[7; 16]).unwrap()
}

/// The intent that fits [`transfer`].
fn wanted(asset: &str, amount: &str) -> PaymentIntent {
    PaymentIntent {
        custody_id: vec![7; 16],
        id: vec![9; 16],
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        asset: asset.to_owned(),
        to: BOB.to_owned(),
        amount: amount.to_owned(),
        expires_at_ms: NOW,
    }
}

fn signed(intent: &PaymentIntent, by: u8) -> Option<Attestation> {
    Some(attestation::attest_payment_intent(intent, &key(by)))
}

/// `Allowed`, `Pending` or the reason.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed { .. } => "Allowed",
        Verdict::Pending { .. } => "Pending",
        Verdict::Refused(refusal) => refusal.reason,
    }
}

fn message(verdict: Verdict) -> String {
    match verdict {
        Verdict::Refused(refusal) => refusal.message,
        other => panic!("{other:?}"),
    }
}
