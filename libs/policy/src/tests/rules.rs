//! Truth tables, one per rule.

use custody::local_policy::OperationKind;

use super::*;
use crate::Rule;

const SECOND: u64 = 1000;

#[test]
fn the_strictest_of_local_policy_earlier_local_policy_and_hub_holds() {
    let table: &[(Option<&str>, Option<&str>, &str, &str)] = &[
        (None, None, "1000", "Allowed"),
        (None, None, "1001", "OverLimit"),
        (Some("5"), None, "5", "Allowed"),
        (Some("5"), None, "6", "OverLimit"),
        (Some("0"), None, "1", "OverLimit"),
        (Some("2000"), None, "1000", "Allowed"),
        (Some("2000"), None, "1001", "OverLimit"),
        (None, Some("5"), "5", "Allowed"),
        (None, Some("5"), "6", "OverLimit"),
        (None, Some("2000"), "1001", "OverLimit"),
        (Some("4"), Some("5"), "5", "OverLimit"),
    ];
    for (limited, earlier, amount, expected) in table {
        let limits = limited.iter().map(|amount| limit(CHAIN, "ETH", amount)).collect();
        let held =
            earlier.map(|amount| changed(|local_policy| local_policy.assets[0].per_transaction = amount.to_owned()));
        let policy = load(&local_policy(), held.as_slice(), &hub(limits)).unwrap();
        let verdict = Payment::new(transfer("ETH", amount)).judge(&policy);
        assert_eq!(word(&verdict), *expected, "{limited:?} {earlier:?} {amount}");
        let other = Payment::new(transfer("USDT", "1000")).judge(&policy);
        assert_eq!(word(&other), "Allowed", "another asset keeps its limit");
    }
}

#[test]
fn what_the_local_policy_does_not_name_never_moves() {
    let policy = policy(&local_policy(), &[]);
    assert_eq!(word(&Payment::new(transfer("OTHER", "0")).judge(&policy)), "AssetNotAllowed");
    for effect in [transfer("ETH", "1"), cancel(SAFE)] {
        let elsewhere = Payment { chain: "eip155:1".parse().unwrap(), ..Payment::new(effect) };
        assert_eq!(word(&elsewhere.judge(&policy)), "ChainNotAllowed");
    }
}

#[test]
fn an_asset_that_an_earlier_local_policy_does_not_name_alike_waits_for_the_loosening() {
    let without = changed(|local_policy| drop(local_policy.assets.pop()));
    let other_contract = changed(|local_policy| local_policy.assets[1].asset = SAFE.to_owned());
    let other_symbol = changed(|local_policy| local_policy.assets[1].symbol = "TETHER".to_owned());
    let other_chain = changed(|local_policy| local_policy.assets[1].chain = "eip155:1".to_owned());
    for held in [without, other_contract, other_symbol, other_chain] {
        let verdict = Payment::new(transfer("USDT", "1")).judge(&policy(&local_policy(), &[held]));
        assert_eq!(word(&verdict), "AssetNotAllowed");
        assert!(message(verdict).contains("loosening delay"));
    }
    let same = changed(|local_policy| local_policy.assets[1].asset = TOKEN.to_ascii_lowercase());
    assert_eq!(word(&Payment::new(transfer("USDT", "1")).judge(&policy(&local_policy(), &[same]))), "Allowed");
    let never = Payment::new(transfer("OTHER", "1")).judge(&policy(&local_policy(), &[local_policy()]));
    assert!(!message(never).contains("loosening delay"), "nothing waits where the present local policy refuses too");
}

#[test]
fn only_named_kinds_are_signed() {
    let only = |kind: OperationKind| changed(|local_policy| local_policy.kinds = Some([kind].into()));
    let (transfers, cancels) = (only(OperationKind::Transfer), only(OperationKind::Cancel));
    let table = [
        (policy(&local_policy(), &[]), "Allowed", "Allowed"),
        (policy(&transfers, &[]), "Allowed", "KindNotAllowed"),
        (policy(&cancels, &[]), "KindNotAllowed", "Allowed"),
        (policy(&local_policy(), std::slice::from_ref(&cancels)), "KindNotAllowed", "Allowed"),
        (policy(&transfers, std::slice::from_ref(&cancels)), "KindNotAllowed", "KindNotAllowed"),
    ];
    for (policy, transferred, cancelled) in table {
        assert_eq!(word(&Payment::new(transfer("ETH", "1")).judge(&policy)), transferred);
        assert_eq!(word(&Payment::new(cancel(SAFE)).judge(&policy)), cancelled);
    }
}

#[test]
fn a_rolling_limit_counts_what_is_spent_already() {
    let limited = changed(|local_policy| {
        local_policy.assets[0].per_wallet = rolling("100", 60);
        local_policy.assets[0].total = rolling("150", 3600);
    });
    let policy = policy(&limited, &[]);
    let table = [
        ("0", "0", "100", "Allowed"),
        ("0", "0", "101", "OverWindow"),
        ("60", "60", "40", "Allowed"),
        ("60", "60", "41", "OverWindow"),
        ("0", "140", "10", "Allowed"),
        ("0", "140", "11", "OverWindow"),
        ("100", "100", "0", "Allowed"),
        ("101", "101", "0", "OverWindow"),
        (MAX, "0", "1", "OverWindow"),
        (MAX, MAX, "1000", "OverWindow"),
    ];
    for (wallet, total, amount, expected) in table {
        let mut payment = Payment::new(transfer("ETH", amount));
        payment.spent.insert((Scope::Wallet, 60 * SECOND), wallet.parse().unwrap());
        payment.spent.insert((Scope::Total, 3600 * SECOND), total.parse().unwrap());
        assert_eq!(word(&payment.judge(&policy)), expected, "{wallet} {total} {amount}");
    }
}

#[test]
fn a_refused_window_says_which_and_what_is_left() {
    let limited = changed(|local_policy| local_policy.assets[0].total = rolling("150", 3600));
    let mut payment = Payment::new(transfer("ETH", "11"));
    payment.spent.insert((Scope::Total, 3600 * SECOND), 140.into());
    let refused = message(payment.judge(&policy(&limited, &[])));
    for part in ["10 left of 150", "3600 s", "all wallets"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(!refused.contains("loosening delay"), "{refused}");
    let loosened = changed(|local_policy| local_policy.assets[0].total = rolling("151", 3600));
    let waiting = message(payment.judge(&policy(&loosened, &[limited])));
    assert!(waiting.contains("10 left of 150") && waiting.contains("loosening delay"), "{waiting}");
}

#[test]
fn amounts_that_were_not_counted_for_every_window_are_refused() {
    let limited = changed(|local_policy| local_policy.assets[0].total = rolling("150", 3600));
    for (local_policy, spent) in
        [(&limited, vec![]), (&limited, vec![Amount::ZERO; 2]), (&local_policy(), vec![Amount::ZERO])]
    {
        let policy = policy(local_policy, &[]);
        let payment = Payment::new(transfer("ETH", "1"));
        let spent = BTreeMap::from([("ETH".to_owned(), spent)]);
        let verdict = payment.ask(&policy, |facts| policy.judge(&Facts { spent: &spent, ..*facts }));
        assert_eq!(word(&verdict), "SpentUnknown");
    }
}

#[test]
fn money_goes_only_where_every_list_leads() {
    let listed = |allow: &[&str]| changed(|local_policy| local_policy.destinations = destinations(allow, 0));
    let lower = BOB.to_ascii_lowercase();
    let table = [
        (policy(&local_policy(), &[]), "Allowed"),
        (policy(&listed(&[BOB]), &[]), "Allowed"),
        (policy(&listed(&[&lower]), &[]), "Allowed"),
        (policy(&listed(&[CAROL]), &[]), "DestinationNotAllowed"),
        (policy(&listed(&[]), &[]), "DestinationNotAllowed"),
        (policy(&local_policy(), &[listed(&[CAROL])]), "DestinationNotAllowed"),
        (policy(&listed(&[BOB, CAROL]), &[listed(&[CAROL])]), "DestinationNotAllowed"),
        (policy(&listed(&[BOB, CAROL]), &[listed(&[BOB])]), "Allowed"),
    ];
    for (policy, expected) in table {
        assert_eq!(word(&Payment::new(transfer("ETH", "1")).judge(&policy)), expected);
    }
    let to_safety = Effect::Transfer { asset: "ETH".to_owned(), to: SAFE.to_owned(), amount: 1.into() };
    let verdict = Payment::new(to_safety).judge(&policy(&listed(&[BOB]), &[]));
    assert_eq!(word(&verdict), "DestinationNotAllowed", "a safe destination is none for payments");
}

#[test]
fn a_destination_on_another_chains_list_is_not_on_this_ones() {
    let mut elsewhere = changed(|local_policy| local_policy.destinations = destinations(&[BOB], 0));
    elsewhere.destinations.as_mut().unwrap().allow[0].chain = "eip155:1".to_owned();
    let verdict = Payment::new(transfer("ETH", "1")).judge(&policy(&elsewhere, &[]));
    assert_eq!(word(&verdict), "DestinationNotAllowed");
}

#[test]
fn a_new_destination_cools_first() {
    let cooling = |seconds| changed(|local_policy| local_policy.destinations = destinations(&[BOB], seconds));
    let table = [
        (0, 0, None, "Allowed"),
        (60, 0, None, "DestinationCooling"),
        (60, 0, Some(NOW), "DestinationCooling"),
        (60, 0, Some(NOW - 60 * SECOND + 1), "DestinationCooling"),
        (60, 0, Some(NOW - 60 * SECOND), "Allowed"),
        (60, 61, Some(NOW - 60 * SECOND), "DestinationCooling"),
        (60, 30, Some(NOW - 60 * SECOND), "Allowed"),
        (60, 0, Some(u64::MAX), "DestinationCooling"),
    ];
    for (present, earlier, listed_since_ms, expected) in table {
        let policy = policy(&cooling(present), &[cooling(earlier)]);
        let payment = Payment { listed_since_ms, ..Payment::new(transfer("ETH", "1")) };
        assert_eq!(word(&payment.judge(&policy)), expected, "{present} {earlier} {listed_since_ms:?}");
    }
}

#[test]
fn a_fee_is_at_most_the_lowest_ceiling_and_nothing_where_none_is_named() {
    let ceiling = |amount: &str| changed(|local_policy| local_policy.fees = fee(amount));
    let table = [
        (policy(&local_policy(), &[]), 0, "Allowed"),
        (policy(&local_policy(), &[]), 1, "FeeTooHigh"),
        (policy(&ceiling("10"), &[]), 10, "Allowed"),
        (policy(&ceiling("10"), &[]), 11, "FeeTooHigh"),
        (policy(&ceiling("10"), &[ceiling("5")]), 6, "FeeTooHigh"),
        (policy(&ceiling("10"), &[local_policy()]), 1, "FeeTooHigh"),
    ];
    for (policy, fee, expected) in table {
        for effect in [transfer("ETH", "1"), cancel(SAFE)] {
            let payment = Payment { fee: relayed(fee), ..Payment::new(effect) };
            assert_eq!(word(&payment.judge(&policy)), expected, "{fee}");
        }
    }
}

#[test]
fn a_large_payment_waits_from_its_announcement_on() {
    let locked =
        |above: &str, delay| changed(|local_policy| local_policy.assets[0].time_lock = time_lock(above, delay));
    let (hour, day) = (3600 * SECOND, 86_400 * SECOND);
    let lapse = MAX_LAPSE_SECONDS * SECOND;
    let never = Verdict::Pending { not_before_ms: 0, lapses_at_ms: 0 };
    let waits = |not_before_ms| Verdict::Pending { not_before_ms, lapses_at_ms: not_before_ms + lapse };
    let allowed = Verdict::Allowed { intent: None };
    let out_of_range = "TimeLockOutOfRange";
    let policy = policy(&locked("100", 3600), &[locked("500", 86_400), locked("600", 60)]);
    let table = [
        ("100", None, Some(&allowed)),
        ("101", None, Some(&never)),
        ("101", Some(NOW), Some(&waits(NOW + hour))),
        ("101", Some(NOW - hour + 1), Some(&waits(NOW + 1))),
        ("101", Some(NOW - hour), Some(&allowed)),
        ("501", Some(NOW - hour), Some(&waits(NOW - hour + day))),
        ("601", Some(NOW - day), Some(&allowed)),
        ("101", Some(NOW + 5), Some(&waits(NOW + 5 + hour))),
        ("101", Some(u64::MAX), None),
    ];
    for (amount, announced_ms, expected) in table {
        let verdict = Payment { announced_ms, ..Payment::new(transfer("ETH", amount)) }.judge(&policy);
        match expected {
            Some(expected) => assert_eq!(&verdict, expected, "{amount} {announced_ms:?}"),
            None => assert_eq!(word(&verdict), out_of_range),
        }
    }
}

#[test]
fn an_announcement_lapses_when_it_was_not_signed_in_time() {
    let locked = |lapses_after_seconds| {
        changed(|local_policy| {
            let lock = time_lock("100", 3600).unwrap();
            local_policy.assets[0].time_lock = Some(TimeLock { lapses_after_seconds, ..lock });
        })
    };
    let (hour, week) = (3600 * SECOND, MAX_LAPSE_SECONDS * SECOND);
    let judged = |policy: &Policy, since: u64| {
        let payment = Payment { announced_ms: Some(NOW - since), ..Payment::new(transfer("ETH", "101")) };
        let waits = payment.explain(policy).into_iter().find(|it| it.rule == Rule::TimeLock).unwrap().outcome;
        (payment.judge(policy), waits.to_string())
    };
    let lapsed = |ago: u64| Verdict::Pending { not_before_ms: 0, lapses_at_ms: NOW - ago };
    for (policy, lapse) in [
        (policy(&locked(None), &[]), week),
        (policy(&locked(Some(60)), &[]), 60 * SECOND),
        (policy(&locked(None), &[locked(Some(60))]), 60 * SECOND),
        (policy(&locked(Some(60)), &[locked(None)]), 60 * SECOND),
    ] {
        assert_eq!(judged(&policy, hour + lapse - 1).0, Verdict::Allowed { intent: None });
        assert_eq!(judged(&policy, hour + lapse).0, lapsed(0));
        let (verdict, why) = judged(&policy, hour + lapse + 5);
        assert_eq!(verdict, lapsed(5));
        assert!(why.contains("lapsed") && why.contains("announce it again"), "{why}");
    }
    assert_eq!(policy(&locked(Some(MAX_LAPSE_SECONDS)), &[]).digest(), policy(&locked(None), &[]).digest());
    assert_ne!(policy(&locked(Some(60)), &[]).digest(), policy(&locked(None), &[]).digest());
}

#[test]
fn a_payment_that_is_refused_does_not_wait() {
    let locked = changed(|local_policy| local_policy.assets[0].time_lock = time_lock("100", 3600));
    assert_eq!(word(&Payment::new(transfer("ETH", "1001")).judge(&policy(&locked, &[]))), "OverLimit");
    let wrong = Payment { fee: relayed(1), ..Payment::new(transfer("ETH", "101")) };
    assert_eq!(word(&wrong.judge(&policy(&locked, &[]))), "FeeTooHigh");
}

#[test]
fn a_veto_refuses_whether_the_payment_is_locked_or_not() {
    let locked = changed(|local_policy| local_policy.assets[0].time_lock = time_lock("100", 3600));
    for effect in [transfer("ETH", "1"), transfer("ETH", "101"), cancel(SAFE)] {
        let payment = Payment { vetoed: true, announced_ms: Some(0), ..Payment::new(effect) };
        assert_eq!(word(&payment.judge(&policy(&locked, &[]))), "Vetoed");
    }
}

/// Above 100 wei by signer 1 or 2.
fn intended() -> LocalPolicy {
    changed(|local_policy| {
        local_policy.assets[0].intent_above = Some("100".to_owned());
        local_policy.intent_signers = vec![signer(1), signer(2)];
    })
}

#[test]
fn above_a_threshold_somebody_else_must_want_it_too() {
    let policy = policy(&intended(), &[]);
    let judged = |amount: &str, intent: Option<Attestation>| {
        Payment { intent, ..Payment::new(transfer("ETH", amount)) }.judge(&policy)
    };
    let by_intent = Verdict::Allowed { intent: Some([9; 16]) };
    assert_eq!(judged("100", None), Verdict::Allowed { intent: None });
    assert_eq!(word(&judged("101", None)), "IntentMissing");
    assert_eq!(judged("101", signed(&wanted("ETH", "101"), 1)), by_intent);
    assert_eq!(judged("101", signed(&wanted("ETH", "101"), 2)), by_intent);
    assert_eq!(word(&judged("101", signed(&wanted("ETH", "101"), 3))), "IntentNotBelieved");
    let mut forged = signed(&wanted("ETH", "101"), 1).unwrap();
    forged.signature[0] ^= 1;
    assert_eq!(word(&judged("101", Some(forged))), "IntentNotBelieved");
    assert_eq!(judged("1", signed(&wanted("ETH", "1"), 1)), by_intent, "one that is not needed is used up too");
}

#[test]
fn an_intent_for_anything_else_is_refused_needed_or_not() {
    let policy = policy(&intended(), &[]);
    type Change = fn(&mut PaymentIntent);
    let table: &[(&str, Change, &str)] = &[
        ("custody_id", |intent| intent.custody_id[0] = 8, "IntentMismatch"),
        ("id", |intent| intent.id.truncate(15), "IntentMismatch"),
        ("wallet", |intent| intent.wallet = "bob".to_owned(), "IntentMismatch"),
        ("chain", |intent| intent.chain = "eip155:1".to_owned(), "IntentMismatch"),
        ("asset", |intent| intent.asset = "USDT".to_owned(), "IntentMismatch"),
        ("to", |intent| intent.to = CAROL.to_owned(), "IntentMismatch"),
        ("amount", |intent| intent.amount = "102".to_owned(), "IntentMismatch"),
        ("expired", |intent| intent.expires_at_ms = NOW - 1, "IntentExpired"),
    ];
    for (field, change, expected) in table {
        for amount in ["1", "101"] {
            let mut intent = wanted("ETH", amount);
            change(&mut intent);
            let payment = Payment { intent: signed(&intent, 1), ..Payment::new(transfer("ETH", amount)) };
            let verdict = payment.judge(&policy);
            assert_eq!(word(&verdict), *expected, "{field} {amount}");
            assert!(message(verdict).contains(field), "{field}");
        }
    }
    let cancelled = Payment { intent: signed(&wanted("ETH", "0"), 1), ..Payment::new(cancel(SAFE)) };
    assert_eq!(word(&cancelled.judge(&policy)), "IntentMismatch");
}

#[test]
fn every_local_policy_must_believe_the_intent() {
    let by = |signers: &[u8], above: Option<&str>| {
        changed(|local_policy| {
            local_policy.assets[0].intent_above = above.map(str::to_owned);
            local_policy.intent_signers = signers.iter().map(|fill| signer(*fill)).collect();
        })
    };
    let table = [
        (by(&[1, 2], Some("100")), by(&[2, 3], None), 2, "Allowed"),
        (by(&[1, 2], Some("100")), by(&[2, 3], None), 1, "IntentNotBelieved"),
        (by(&[1], Some("100")), by(&[2], Some("100")), 1, "IntentNotBelieved"),
        (by(&[1], Some("100")), by(&[2], Some("100")), 2, "IntentNotBelieved"),
        (by(&[], None), by(&[2], Some("100")), 2, "Allowed"),
        (by(&[], None), by(&[2], Some("100")), 1, "IntentNotBelieved"),
        (by(&[], None), by(&[], None), 1, "Allowed"),
    ];
    for (present, held, by, expected) in table {
        let payment = Payment { intent: signed(&wanted("ETH", "101"), by), ..Payment::new(transfer("ETH", "101")) };
        assert_eq!(word(&payment.judge(&policy(&present, &[held]))), expected, "{by}");
    }
    let lower = policy(&by(&[1], Some("100")), &[by(&[1], Some("10"))]);
    assert_eq!(word(&Payment::new(transfer("ETH", "11")).judge(&lower)), "IntentMissing");
}

#[test]
fn an_intent_is_not_looked_at_where_no_local_policy_names_signers() {
    let payment = Payment { intent: signed(&wanted("USDT", "7"), 3), ..Payment::new(transfer("ETH", "101")) };
    assert_eq!(payment.judge(&policy(&local_policy(), &[])), Verdict::Allowed { intent: None });
}

#[test]
fn a_cancel_goes_to_a_safe_destination_and_knows_no_other_limit() {
    let nothing_moves = changed(|local_policy| {
        local_policy.destinations = destinations(&[], 60);
        local_policy.intent_signers = vec![signer(1)];
        for asset in &mut local_policy.assets {
            asset.per_transaction = "0".to_owned();
            asset.per_wallet = rolling("0", 60);
            asset.time_lock = time_lock("0", 60);
            asset.intent_above = Some("0".to_owned());
        }
    });
    for policy in [policy(&nothing_moves, &[]), policy(&local_policy(), &[nothing_moves])] {
        assert_eq!(Payment::new(cancel(SAFE)).judge(&policy), Verdict::Allowed { intent: None });
        assert_eq!(word(&Payment::new(cancel(BOB)).judge(&policy)), "NotASafeDestination");
    }
}
