//! Member trusts, policies, payments to try them with, and what hub and workload write to each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use chain::{Amount, ChainId, Claim, Effect, Fee, Payer, Rules, Transaction, Validity};
use chain_adapters::Adapters;
use custody::{
    CustodyId,
    config::{Credentials, Limit, MemberConfig},
    identity::Identity,
    local_policy::{AssetLimits, Destination, Destinations, FeeCeiling, LocalPolicy, OperationKind, Rolling, TimeLock},
    manifest::SignedManifest,
    report::Report,
    trust::MemberTrust,
};
use jiff::Timestamp;
use policy::{Facts, Outcome, Policy, Scope, Verdict};
use policy_file::policy::{Loaded, Request};
use serde::{Serialize, de::DeserializeOwned};

use crate::input::Input;

const CHAIN: &str = "eip155:1";
const OTHER_CHAIN: &str = "eip155:10";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const CAROL: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/// What counts in a window, by its scope and length in milliseconds.
type Counted = BTreeMap<(Scope, u64), Amount>;

/// Reads `data` as one of the documents, or builds local policies and a payment from it.
pub fn policy_file(data: &[u8]) {
    let mut input = Input::new(data);
    match input.choice(6) {
        0 => trust(input.rest()),
        1 => tried(input),
        2 => judged(&mut input),
        3 => documents(input.rest()),
        4 => manifest(input.rest()),
        _ => local_policy_alone(input.rest()),
    }
}

/// What a member trust says survives being written; its local policy either makes a policy or says why not.
fn trust(bytes: &[u8]) {
    let Ok(trust) = MemberTrust::parse(bytes) else { return };
    assert_eq!(trust.validate(), Ok(()));
    assert_eq!(MemberTrust::parse(trust.to_json().as_bytes()).as_ref(), Ok(&trust));
    if let Ok(complete) = trust.complete() {
        assert!(trust.custody.is_some() && trust.local_policy.as_ref() == Some(complete.local_policy()));
    }
    if let Some(local_policy) = &trust.local_policy {
        usable(local_policy);
    }
}

/// A local policy without the member trust around it.
fn local_policy_alone(bytes: &[u8]) {
    if let Ok(local_policy) = serde_json::from_slice::<LocalPolicy>(bytes) {
        usable(&local_policy);
    }
}

fn usable(local_policy: &LocalPolicy) {
    let Ok(policy) = loaded(local_policy, &[], &custody::config::HubLimits::default()) else { return };
    assert_eq!(local_policy.validate(), Ok(()), "a policy of a local policy that is none");
    for AssetLimits { chain, symbol, per_transaction, .. } in &local_policy.assets {
        let (chain, highest): (ChainId, Amount) = (chain.parse().unwrap(), per_transaction.parse().unwrap());
        let above = highest.checked_add(1.into());
        for amount in [Some(Amount::ZERO), Some(highest), above].into_iter().flatten() {
            let effect = Effect::Transfer { asset: symbol.clone(), to: BOB.to_owned(), amount };
            let payment = Payment { chain: chain.clone(), ..Payment::of(effect) };
            let verdict = payment.judge(&policy);
            assert!(amount <= highest || matches!(verdict, Verdict::Refused(_)), "over the local policy");
        }
    }
}

/// The two files of `multisig policy test`.
fn tried(input: Input<'_>) {
    let (policy, request) = input.two();
    let (Ok(policy), Ok(request)) = (std::str::from_utf8(policy), std::str::from_utf8(request)) else { return };
    let Ok(loaded) = Loaded::parse(policy) else { return };
    if let Ok(request) = Request::parse(request, &loaded, Timestamp::UNIX_EPOCH) {
        consistent(&loaded.policy, &request.facts());
    }
}

/// Local policies that hold together, the hub's limits and a payment: all of them only ever tighten.
fn judged(input: &mut Input<'_>) {
    let local_policy = local_policy(input);
    let held: Vec<LocalPolicy> = (0..input.choice(3)).map(|_| self::local_policy(input)).collect();
    let hub = custody::config::HubLimits { limits: (0..input.choice(3)).map(|_| limit(input)).collect() };
    let payment = Payment::new(input);
    let Ok(all) = loaded(&local_policy, &held, &hub) else { return };
    let alone = loaded(&local_policy, &[], &custody::config::HubLimits::default())
        .expect("the present local policy is part of all");
    let (strict, loose) = (payment.judge(&all), payment.judge(&alone));
    match (&strict, &loose) {
        (Verdict::Allowed { .. }, Verdict::Allowed { .. }) | (Verdict::Refused(_), _) => {}
        (Verdict::Pending { .. }, Verdict::Allowed { .. } | Verdict::Pending { .. }) => {}
        _ => panic!("{strict:?} by all local policies and the hub, {loose:?} by one local policy"),
    }
    if !matches!(strict, Verdict::Refused(_)) {
        within(&payment, [&local_policy].into_iter().chain(&held), &hub);
    }
}

/// What is not refused keeps each local policy's and the hub's own words.
fn within<'a>(
    payment: &Payment,
    local_policies: impl Iterator<Item = &'a LocalPolicy>,
    hub: &custody::config::HubLimits,
) {
    let transaction = &payment.transaction;
    let kind = if transaction.is_cancel() { OperationKind::Cancel } else { OperationKind::Transfer };
    let at_most = |amount: Amount, limit: &str| assert!(amount <= limit.parse().unwrap(), "{amount} over {limit}");
    let of = |chain: &str, symbol: &str, asset: &str| chain == payment.chain.as_str() && symbol == asset;
    let spent = transaction.spent().expect("a sum above 256 bits is refused");
    for local_policy in local_policies {
        assert!(local_policy.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind)));
        let ceiling = local_policy.fees.iter().find(|fee| fee.chain == payment.chain.as_str());
        at_most(transaction.fee.most, ceiling.map_or("0", |fee| &fee.ceiling));
        for (symbol, sum) in &spent {
            let mut named = local_policy.assets.iter().filter(|asset| of(&asset.chain, &asset.symbol, symbol));
            let asset = named.next().expect("named by each local policy");
            at_most(*sum, &asset.per_transaction);
            payment.fits(Scope::Wallet, &asset.per_wallet, *sum);
            payment.fits(Scope::Total, &asset.total, *sum);
        }
        for (_, to, _) in transaction.transfers() {
            let listed = |list: &Destinations| list.allow.iter().any(|listed| listed.address == to);
            assert!(local_policy.destinations.as_ref().is_none_or(listed));
        }
    }
    for (symbol, sum) in &spent {
        for limit in hub.limits.iter().filter(|limit| of(&limit.chain, &limit.asset, symbol)) {
            at_most(*sum, &limit.per_transaction);
            payment.fits(Scope::Wallet, &limit.per_wallet, *sum);
            payment.fits(Scope::Total, &limit.total, *sum);
        }
    }
}

/// What is read is written and read again; a proof that is read is never believed by accident.
fn documents(bytes: &[u8]) {
    fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
        let read: T = serde_json::from_slice(bytes).ok()?;
        let written = serde_json::to_string(&read).expect("documents have string keys only");
        assert_eq!(serde_json::from_str::<T>(&written).ok().as_ref(), Some(&read));
        Some(read)
    }
    round::<MemberConfig>(bytes);
    round::<Credentials>(bytes);
    let reported = round::<Report>(bytes).and_then(|report| report.identity);
    for identity in [reported, round::<Identity>(bytes)].into_iter().flatten() {
        if custody::identity::verify(&identity).is_ok() {
            assert!(custody::identity::message_key(&identity.keys).is_ok());
        }
    }
}

/// A manifest keeps the bytes that were signed.
fn manifest(bytes: &[u8]) {
    let Ok(manifest) = SignedManifest::parse(bytes) else { return };
    let again = SignedManifest::parse(manifest.to_json().as_bytes()).expect("what was read is read again");
    assert_eq!(again.digest(), manifest.digest());
    assert_eq!(again.unverified(), manifest.unverified());
    assert_eq!(again.verify().is_ok(), manifest.verify().is_ok());
}

/// A payment of alice and all that is known of it.
struct Payment {
    chain: ChainId,
    transaction: Transaction,
    now_ms: u64,
    spent: Counted,
    listed_since_ms: Option<u64>,
    announced_ms: Option<u64>,
    vetoed: bool,
}

impl Payment {
    fn of(effect: Effect) -> Self {
        Self {
            chain: CHAIN.parse().unwrap(),
            transaction: Transaction {
                id: [1; 32],
                effects: vec![effect],
                fee: Fee { asset: "ETH".to_owned(), most: Amount::ZERO, payer: Payer::Relayer },
                claims: vec![Claim::Sequence(0)],
                validity: Validity::UntilClaimed,
            },
            now_ms: 1_800_000_000_000,
            spent: Counted::new(),
            listed_since_ms: None,
            announced_ms: None,
            vetoed: false,
        }
    }

    fn new(input: &mut Input<'_>) -> Self {
        let mut payment = Self::of(effect(input));
        let mut window = |scope| ((scope, seconds(input) * 1000), amount(input));
        let spent = [window(Scope::Wallet), window(Scope::Wallet), window(Scope::Total), window(Scope::Total)];
        payment.spent = spent.into();
        let mut time = || (input.choice(2) == 1).then(|| input.u64());
        (payment.listed_since_ms, payment.announced_ms) = (time(), time());
        payment.now_ms = input.u64();
        payment.transaction.fee.most = amount(input);
        payment.vetoed = input.choice(8) == 1;
        // More of it than an EVM chain has.
        if input.choice(4) == 1 {
            payment.transaction.fee.payer = Payer::Wallet;
        }
        for _ in 0..input.choice(3) {
            payment.transaction.effects.push(effect(input));
        }
        payment
    }

    fn judge(&self, policy: &Policy) -> Verdict {
        let counted = |asset: &str| {
            let windows = policy.windows(&self.chain, asset).iter();
            windows.map(|window| self.counted(window.scope, window.length_ms)).collect()
        };
        let moved = self.transaction.spent().unwrap_or_default().into_keys();
        let spent = moved.map(|asset| (asset.to_owned(), counted(asset))).collect();
        let listed = self.listed_since_ms.iter();
        let listed = listed.flat_map(|at| [BOB, CAROL, SAFE, TOKEN].map(|to| (to.to_owned(), *at))).collect();
        let facts = Facts {
            now_ms: self.now_ms,
            custody_id: CustodyId::from_slice(&[7; 16]).unwrap(),
            wallet: "alice",
            chain: &self.chain,
            transaction: &self.transaction,
            internal: &BTreeSet::new(),
            spent: &spent,
            listed_since_ms: &listed,
            intent: None,
            announced_ms: self.announced_ms,
            vetoed: self.vetoed,
        };
        consistent(policy, &facts)
    }

    fn counted(&self, scope: Scope, length_ms: u64) -> Amount {
        self.spent.get(&(scope, length_ms)).copied().unwrap_or_default()
    }

    /// With what counts already it is within the limit.
    fn fits(&self, scope: Scope, rolling: &Option<Rolling>, moved: Amount) {
        if let Some(Rolling { amount, window_seconds }) = rolling {
            let sum = self.counted(scope, window_seconds * 1000).checked_add(moved);
            assert!(sum.is_some_and(|sum| sum <= amount.parse().unwrap()), "over a window of {scope:?}");
        }
    }
}

fn effect(input: &mut Input<'_>) -> Effect {
    let to = [BOB, CAROL, SAFE, TOKEN][usize::from(input.choice(4))].to_owned();
    match ["ETH", "USDT", "GOLD"].get(usize::from(input.choice(4))) {
        Some(asset) => Effect::Transfer { asset: (*asset).to_owned(), to, amount: amount(input) },
        None => Effect::Cancel { to },
    }
}

/// The verdict is what the rules add up to, in words that can be shown.
fn consistent(policy: &Policy, facts: &Facts<'_>) -> Verdict {
    let verdict = policy.judge(facts);
    let findings = policy.explain(facts);
    let refusal = findings.iter().find_map(|finding| match &finding.outcome {
        Outcome::Refuses(refusal) => Some(refusal),
        _ => None,
    });
    let waits = findings.iter().any(|finding| matches!(finding.outcome, Outcome::Waits { .. }));
    match &verdict {
        Verdict::Refused(refused) => assert_eq!(Some(refused), refusal),
        Verdict::Pending { .. } => assert!(refusal.is_none() && waits),
        Verdict::Allowed { .. } => assert!(refusal.is_none() && !waits),
    }
    assert!(findings.iter().all(|finding| !finding.outcome.to_string().is_empty()));
    verdict
}

fn loaded(
    local_policy: &LocalPolicy,
    held: &[LocalPolicy],
    hub: &custody::config::HubLimits,
) -> Result<Policy, policy::PolicyError> {
    // A chain without adapter is for the policy to refuse.
    let adapters = Adapters::all();
    let known = policy::chains(local_policy)?.into_iter();
    let rules: Rules = known.filter_map(|chain| Some((chain.clone(), adapters.rules(&chain).ok()?))).collect();
    let safe = BTreeMap::from([(CHAIN.to_owned(), vec![SAFE.to_owned()])]);
    Policy::unvouched(local_policy, held, hub, &safe, &rules)
}

fn local_policy(input: &mut Input<'_>) -> LocalPolicy {
    let mut local_policy = LocalPolicy::new((0..=input.choice(3)).map(|_| asset(input)).collect());
    local_policy.destinations = (input.choice(4) == 1).then(|| Destinations {
        allow: (0..input.choice(3)).map(|_| destination(input)).collect(),
        cooling_seconds: seconds(input),
        internal: false,
    });
    local_policy.kinds = match input.choice(4) {
        1 => Some([OperationKind::Transfer].into()),
        2 => Some([OperationKind::Cancel].into()),
        _ => None,
    };
    local_policy.fees =
        (0..input.choice(2)).map(|_| FeeCeiling { chain: CHAIN.to_owned(), ceiling: text(input) }).collect();
    local_policy
}

fn asset(input: &mut Input<'_>) -> AssetLimits {
    let (chain, symbol, contract) =
        [(CHAIN, "ETH", "native"), (CHAIN, "USDT", TOKEN), (CHAIN, "USDT", BOB), (OTHER_CHAIN, "ETH", "native")]
            [usize::from(input.choice(4))];
    AssetLimits {
        per_wallet: rolling(input),
        total: rolling(input),
        time_lock: (input.choice(4) == 1).then(|| TimeLock::new(&text(input), seconds(input))),
        ..AssetLimits::new(chain, symbol, contract, 18, &text(input))
    }
}

fn limit(input: &mut Input<'_>) -> Limit {
    Limit {
        chain: CHAIN.to_owned(),
        asset: ["ETH", "USDT"][usize::from(input.choice(2))].to_owned(),
        per_transaction: text(input),
        per_wallet: rolling(input),
        total: rolling(input),
    }
}

fn rolling(input: &mut Input<'_>) -> Option<Rolling> {
    (input.choice(2) == 1).then(|| Rolling { amount: text(input), window_seconds: seconds(input) })
}

fn destination(input: &mut Input<'_>) -> Destination {
    let address = [BOB, CAROL, SAFE][usize::from(input.choice(3))].to_owned();
    Destination { chain: CHAIN.to_owned(), address }
}

/// Few lengths, so that windows meet.
fn seconds(input: &mut Input<'_>) -> u64 {
    [1, 60, 3600, 366 * 24 * 3600][usize::from(input.choice(4))]
}

fn text(input: &mut Input<'_>) -> String {
    amount(input).to_string()
}

/// Few amounts, so that they meet, and the largest there are.
fn amount(input: &mut Input<'_>) -> Amount {
    match input.byte() {
        255 => "115792089237316195423570985008687907853269984665640564039457584007913129639935".parse().unwrap(),
        254 => u128::MAX.into(),
        low => u128::from(low).into(),
    }
}
