//! What holds of every policy and payment.

use custody::local_policy::OperationKind;
use proptest::{
    option,
    prelude::*,
    sample::select,
    strategy::{Union, ValueTree},
    test_runner::TestRunner,
};

use super::*;
use crate::{Outcome, Rule};

/// Small amounts, so that limits and payments meet, and the largest.
fn amounts() -> impl Strategy<Value = String> {
    let largest = (0u128..3).prop_map(|below| MAX.parse::<Amount>().unwrap().checked_sub(below.into()).unwrap());
    prop_oneof![6 => (0u128..8).prop_map(|amount| amount.to_string()), 1 => largest.prop_map(|amount| amount.to_string())]
}

fn limits() -> impl Strategy<Value = String> {
    prop_oneof![1 => amounts(), 2 => Just(MAX.to_owned())]
}

fn windows() -> impl Strategy<Value = Option<Rolling>> {
    option::weighted(
        0.3,
        (limits(), select(vec![60, 120])).prop_map(|(amount, seconds)| rolling(&amount, seconds).unwrap()),
    )
}

fn assets() -> impl Strategy<Value = AssetLimits> {
    let lock = (amounts(), select(vec![10, 20])).prop_map(|(above, delay)| time_lock(&above, delay).unwrap());
    let contract = prop_oneof![5 => Just("native"), 1 => Just(TOKEN)];
    let parts =
        (limits(), windows(), windows(), option::weighted(0.3, lock), option::weighted(0.3, amounts()), contract);
    (parts, option::weighted(0.3, internal_limits())).prop_map(
        |((per_transaction, per_wallet, total, time_lock, intent_above, contract), internal)| AssetLimits {
            per_wallet,
            total,
            time_lock,
            intent_above,
            internal,
            ..AssetLimits::new(CHAIN, "ETH", contract, 18, &per_transaction)
        },
    )
}

fn internal_limits() -> impl Strategy<Value = InternalLimits> {
    let lock = (amounts(), select(vec![10, 20])).prop_map(|(above, delay)| time_lock(&above, delay).unwrap());
    let parts = (limits(), windows(), windows(), option::weighted(0.3, lock), option::weighted(0.3, amounts()));
    parts.prop_map(|(per_transaction, per_wallet, total, time_lock, intent_above)| InternalLimits {
        per_transaction,
        per_wallet,
        total,
        time_lock,
        intent_above,
    })
}

fn local_policies() -> impl Strategy<Value = LocalPolicy> {
    let kinds = select(vec![None, None, None, None, Some(OperationKind::Transfer), Some(OperationKind::Cancel)]);
    let open = destinations(&[CAROL], 20).map(|list| Destinations { internal: true, ..list });
    let lists = select(vec![None, None, destinations(&[BOB, CAROL], 0), destinations(&[BOB], 10), open]);
    let ceilings = select(vec![vec![], fee("1"), fee(MAX)]);
    let signers = select(vec![vec![signer(1)], vec![signer(1), signer(2)], vec![signer(2)]]);
    (assets(), kinds, lists, ceilings, signers, any::<bool>()).prop_map(
        |(asset, kind, list, fees, signers, any_signer)| LocalPolicy {
            destinations: list,
            kinds: kind.map(|kind| [kind].into()),
            fees,
            intent_signers: if any_signer || asset.asks_for_intents() { signers } else { Vec::new() },
            ..LocalPolicy::new(vec![asset])
        },
    )
}

fn hubs() -> impl Strategy<Value = HubLimits> {
    let limits = (limits(), windows(), windows()).prop_map(|(per_transaction, per_wallet, total)| Limit {
        per_wallet,
        total,
        ..limit(CHAIN, "ETH", &per_transaction)
    });
    limits.prop_map(|limit| hub(vec![limit]))
}

/// For this effect more often than not.
fn intents(effect: &Effect) -> impl Strategy<Value = Option<Attestation>> + use<> {
    let (to, amount) = match effect {
        Effect::Transfer { to, amount, .. } => (to.clone(), amount.to_string()),
        Effect::Cancel { to } => (to.clone(), "0".to_owned()),
        Effect::Change { .. } => (String::new(), "0".to_owned()),
    };
    let amounts = prop_oneof![8 => Just(amount), 1 => amounts()];
    let places = prop_oneof![8 => Just(to), 1 => Just(SAFE.to_owned())];
    let intents = (amounts, places, 1u8..4, prop::bool::weighted(0.1)).prop_map(|(amount, to, by, late)| {
        let wanted = wanted("ETH", &amount);
        signed(&PaymentIntent { to, expires_at_ms: NOW - u64::from(late), ..wanted }, by).unwrap()
    });
    option::of(intents)
}

fn effects() -> impl Strategy<Value = Effect> {
    let transfers = (amounts(), select(vec![BOB, CAROL]), select(vec!["ETH", "ETH", "ETH", "OTHER"]));
    let transfers = transfers.prop_map(|(amount, to, asset)| match transfer(asset, &amount) {
        Effect::Transfer { asset, amount, .. } => Effect::Transfer { asset, amount, to: to.to_owned() },
        cancel => cancel,
    });
    Union::new_weighted(vec![(6, transfers.boxed()), (1, select(vec![cancel(SAFE), cancel(BOB)]).boxed())])
}

fn payments() -> impl Strategy<Value = Payment> {
    let spent = || proptest::collection::vec(prop_oneof![4 => Just("0".to_owned()), 1 => amounts()], 4);
    let spent = (spent(), spent(), select(vec![vec![], vec![BOB], vec![CAROL]]));
    let times = || option::of(select(vec![0, NOW - 15_000, NOW, u64::MAX]));
    let fees = select(vec![0u128, 0, 0, 0, 0, 0, 1, 2]);
    let effects = effects().prop_flat_map(|effect| (intents(&effect), Just(effect)));
    let parts = (effects, spent, fees, times(), times(), prop::bool::weighted(0.1));
    parts.prop_map(
        |((intent, effect), (spent, spent_internal, internal), fee, listed_since_ms, announced_ms, vetoed)| {
            let windows = [(Scope::Wallet, 60), (Scope::Wallet, 120), (Scope::Total, 60), (Scope::Total, 120)];
            let counted = |spent: Vec<String>| {
                let spent = windows.into_iter().zip(spent);
                spent.map(|((scope, seconds), amount)| ((scope, seconds * 1000), amount.parse().unwrap())).collect()
            };
            Payment {
                fee: relayed(fee),
                internal: internal.into_iter().map(str::to_owned).collect(),
                spent: counted(spent),
                spent_internal: counted(spent_internal),
                listed_since_ms,
                intent,
                announced_ms,
                vetoed,
                ..Payment::new(effect)
            }
        },
    )
}

/// How strict, and until when.
fn rank(verdict: &Verdict) -> (u8, u64) {
    match verdict {
        Verdict::Allowed { .. } => (0, 0),
        Verdict::Pending { not_before_ms, .. } => (1, *not_before_ms),
        Verdict::Refused(_) => (2, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_hub_and_an_earlier_local_policy_only_make_stricter(
        local_policy in local_policies(), held in proptest::collection::vec(local_policies(), 0..2), more in local_policies(), hub in hubs(),
        payment in payments(),
    ) {
        let none = HubLimits::default();
        let before = payment.judge(&load(&local_policy, &held, &none).unwrap());
        let limited = payment.judge(&load(&local_policy, &held, &hub).unwrap());
        prop_assert!(rank(&limited) >= rank(&before), "hub: {limited:?} after {before:?}");
        let held = [held, vec![more]].concat();
        let joined = payment.judge(&load(&local_policy, &held, &none).unwrap());
        prop_assert!(rank(&joined) >= rank(&before), "held: {joined:?} after {before:?}");
        let alone = payment.judge(&load(&held[held.len() - 1], &[], &none).unwrap());
        prop_assert!(rank(&joined) >= rank(&alone), "held alone: {joined:?} where it says {alone:?}");
    }

    #[test]
    fn the_order_of_earlier_local_policies_does_not_matter(local_policy in local_policies(), a in local_policies(), b in local_policies(), hub in hubs()) {
        let (one, other) = (load(&local_policy, &[a.clone(), b.clone()], &hub), load(&local_policy, &[b, a], &hub));
        prop_assert_eq!(one.unwrap().digest(), other.unwrap().digest());
    }

    #[test]
    fn verdict_and_explanation_agree(
        local_policy in local_policies(), held in proptest::collection::vec(local_policies(), 0..2), hub in hubs(), payment in payments(),
    ) {
        let policy = load(&local_policy, &held, &hub).unwrap();
        let findings = payment.explain(&policy);
        prop_assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), Rule::ALL);
        let outcomes = || findings.iter().map(|finding| &finding.outcome);
        let refusal = outcomes().find_map(|outcome| match outcome {
            Outcome::Refuses(refusal) => Some(refusal.clone()),
            _ => None,
        });
        let wait = outcomes().find_map(|outcome| match outcome {
            Outcome::Waits { not_before_ms, lapses_at_ms } => Some((*not_before_ms, *lapses_at_ms)),
            _ => None,
        });
        let intent = outcomes().find_map(|outcome| match outcome {
            Outcome::Intended(id) => Some(*id),
            _ => None,
        });
        let expected = match (refusal, wait) {
            (Some(refusal), _) => Verdict::Refused(refusal),
            (None, Some((not_before_ms, lapses_at_ms))) => Verdict::Pending { not_before_ms, lapses_at_ms },
            (None, None) => Verdict::Allowed { intent },
        };
        prop_assert_eq!(payment.judge(&policy), expected);
    }

    #[test]
    fn no_sum_ever_wraps(amount in amounts(), spent in amounts(), limit in limits()) {
        let mut local_policy = LocalPolicy::new(vec![AssetLimits::new(CHAIN, "ETH", "native", 18, MAX)]);
        local_policy.assets[0].total = rolling(&limit, 60);
        let mut payment = Payment::new(transfer("ETH", &amount));
        let [amount, spent, limit] = [amount, spent, limit].map(|text| text.parse::<Amount>().unwrap());
        payment.spent.insert((Scope::Total, 60_000), spent);
        let fits = limit.checked_sub(spent).is_some_and(|left| amount <= left);
        prop_assert_eq!(word(&payment.judge(&policy(&local_policy, &[]))), if fits { "Allowed" } else { "OverWindow" });
    }
}

/// Else the promises above would be kept by saying nothing.
#[test]
fn random_payments_reach_every_verdict_and_every_rule() {
    let mut runner = TestRunner::deterministic();
    let (mut verdicts, mut refusing) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..4096 {
        let random = (local_policies(), hubs(), payments()).new_tree(&mut runner).unwrap().current();
        let (local_policy, hub, payment) = random;
        let policy = load(&local_policy, &[], &hub).unwrap();
        *verdicts.entry(rank(&payment.judge(&policy)).0).or_insert(0) += 1;
        for Finding { rule, outcome } in payment.explain(&policy) {
            *refusing.entry(rule).or_insert(0) +=
                usize::from(!matches!(outcome, Outcome::Kept(_) | Outcome::Unneeded(_)));
        }
    }
    assert!(verdicts.len() == 3 && verdicts.values().all(|count| *count > 20), "{verdicts:?}");
    assert!(refusing.values().all(|count| *count > 20), "{refusing:?}");
}
