//! Transactions with more than one effect, or with a fee that the wallet pays: every effect counts.

use super::*;

fn to(address: &str, asset: &str, amount: &str) -> Effect {
    Effect::Transfer { asset: asset.to_owned(), to: address.to_owned(), amount: amount.parse().unwrap() }
}

fn change(amount: u128) -> Effect {
    Effect::Change { asset: "ETH".to_owned(), amount: amount.into() }
}

fn of(effects: &[Effect]) -> Payment {
    Payment { effects: effects.to_vec(), ..Payment::new(change(0)) }
}

fn own_fee(asset: &str, most: u128) -> Fee {
    Fee { asset: asset.to_owned(), most: most.into(), payer: Payer::Wallet }
}

#[test]
fn transfers_of_one_asset_are_summed_and_other_assets_have_their_own_limits() {
    let limited = changed(|local_policy| {
        local_policy.assets[0].per_wallet = rolling("1500", 60);
        local_policy.assets[1].per_wallet = rolling("5000", 60);
    });
    let policy = policy(&limited, &[]);
    let table = [
        (vec![to(BOB, "ETH", "500"), to(CAROL, "ETH", "500")], 0, "Allowed"),
        (vec![to(BOB, "ETH", "500"), to(CAROL, "ETH", "501")], 0, "OverLimit"),
        (vec![to(BOB, "ETH", "1000"), to(CAROL, "USDT", "1000")], 0, "Allowed"),
        (vec![to(BOB, "ETH", "1"), to(CAROL, "USDT", "1001")], 0, "OverLimit"),
        (vec![to(BOB, "ETH", "300"), to(CAROL, "ETH", "300")], 900, "Allowed"),
        (vec![to(BOB, "ETH", "300"), to(CAROL, "ETH", "301")], 900, "OverWindow"),
        (vec![to(BOB, "ETH", "1"), change(900_000)], 0, "Allowed"),
        (vec![to(BOB, "ETH", "1"), to(BOB, "OTHER", "1")], 0, "AssetNotAllowed"),
        (vec![to(BOB, "ETH", MAX), to(BOB, "ETH", "1")], 0, "OverLimit"),
    ];
    for (effects, spent, expected) in table {
        let mut payment = of(&effects);
        payment.spent.insert((Scope::Wallet, 60_000), Amount::from(spent));
        assert_eq!(word(&payment.judge(&policy)), expected, "{effects:?}");
    }
}

#[test]
fn every_destination_is_looked_at() {
    let listed = changed(|local_policy| local_policy.destinations = destinations(&[BOB, CAROL], 60));
    let old = policy(&listed, &[]);
    let since = |listed_since_ms, effects: &[Effect]| Payment { listed_since_ms, ..of(effects) };
    let both = [to(BOB, "ETH", "1"), to(CAROL, "ETH", "1")];
    assert_eq!(word(&since(Some(0), &both).judge(&old)), "Allowed");
    assert_eq!(word(&since(Some(NOW), &both).judge(&old)), "DestinationCooling");
    for stranger in [[to(BOB, "ETH", "1"), to(SAFE, "ETH", "1")], [to(SAFE, "ETH", "1"), to(BOB, "ETH", "1")]] {
        assert_eq!(word(&since(Some(0), &stranger).judge(&old)), "DestinationNotAllowed");
    }
    let beside_a_payment = [to(BOB, "ETH", "1"), cancel(BOB)];
    assert_eq!(word(&since(Some(0), &beside_a_payment).judge(&old)), "NotASafeDestination");
}

#[test]
fn a_fee_that_the_wallet_pays_counts_like_a_payment() {
    let limited = changed(|local_policy| {
        local_policy.fees = fee("100");
        local_policy.assets[0].per_wallet = rolling("1500", 60);
    });
    let policy = policy(&limited, &[]);
    let table = [
        (vec![to(BOB, "ETH", "900")], own_fee("ETH", 100), 0, "Allowed"),
        (vec![to(BOB, "ETH", "901")], own_fee("ETH", 100), 0, "OverLimit"),
        (vec![to(BOB, "ETH", "400")], own_fee("ETH", 100), 1000, "Allowed"),
        (vec![to(BOB, "ETH", "401")], own_fee("ETH", 100), 1000, "OverWindow"),
        (vec![to(BOB, "USDT", "1")], own_fee("ETH", 100), 1401, "OverWindow"),
        (vec![to(BOB, "ETH", "1")], own_fee("ETH", 101), 0, "FeeTooHigh"),
        (vec![to(BOB, "ETH", "1")], own_fee("GAS", 1), 0, "AssetNotAllowed"),
        (vec![cancel(SAFE), change(5)], own_fee("ETH", 100), 1400, "Allowed"),
        (vec![cancel(SAFE), change(5)], own_fee("ETH", 100), 1401, "OverWindow"),
        (vec![cancel(SAFE), change(5)], own_fee("GAS", 1), 0, "AssetNotAllowed"),
        (vec![to(BOB, "ETH", "1000")], Fee { payer: Payer::Relayer, ..own_fee("GAS", 100) }, 0, "Allowed"),
    ];
    for (effects, fee, spent, expected) in table {
        let mut payment = Payment { fee: fee.clone(), ..of(&effects) };
        payment.spent.insert((Scope::Wallet, 60_000), Amount::from(spent));
        assert_eq!(word(&payment.judge(&policy)), expected, "{effects:?} {fee:?} {spent}");
    }
}

#[test]
fn what_is_paid_together_waits_together() {
    let locked = changed(|local_policy| {
        local_policy.fees = fee("100");
        local_policy.assets[0].time_lock = time_lock("100", 60);
        local_policy.assets[1].time_lock = time_lock("100", 3600);
    });
    let policy = policy(&locked, &[]);
    let judged = |announced_ms, effects: &[Effect]| Payment { announced_ms, ..of(effects) }.judge(&policy);
    let lapse = MAX_LAPSE_SECONDS * 1000;
    let never = Verdict::Pending { not_before_ms: 0, lapses_at_ms: 0 };
    let waits = |not_before_ms| Verdict::Pending { not_before_ms, lapses_at_ms: not_before_ms + lapse };
    let (small, both) =
        ([to(BOB, "ETH", "50"), to(CAROL, "ETH", "50")], [to(BOB, "ETH", "101"), to(BOB, "USDT", "101")]);
    assert_eq!(word(&judged(None, &small)), "Allowed");
    assert_eq!(judged(None, &[&small[..], &[to(BOB, "ETH", "1")]].concat()), never);
    assert_eq!(judged(Some(NOW), &both), waits(NOW + 3_600_000));
    assert_eq!(judged(None, &both), never);
    let with_fee = Payment { fee: own_fee("ETH", 100), ..of(&small) };
    assert_eq!(word(&with_fee.judge(&policy)), "Allowed", "a fee is not paid to anybody");
}

#[test]
fn an_intent_is_for_one_transfer() {
    let intended = changed(|local_policy| {
        local_policy.assets[0].intent_above = Some("100".to_owned());
        local_policy.intent_signers = vec![signer(1)];
    });
    let policy = policy(&intended, &[]);
    let judged = |intent: Option<Attestation>, effects: &[Effect]| Payment { intent, ..of(effects) }.judge(&policy);
    let intent = || signed(&wanted("ETH", "101"), 1);
    let (one, several) = ([to(BOB, "ETH", "101"), change(3)], [to(BOB, "ETH", "50"), to(BOB, "ETH", "51")]);
    assert_eq!(
        judged(intent(), &one),
        Verdict::Allowed { intent: Some([9; 16]) },
        "change does not count as a second transfer"
    );
    assert_eq!(word(&judged(None, &several)), "IntentMissing", "the sum counts");
    assert_eq!(word(&judged(intent(), &several)), "IntentMismatch");
    let few = [to(BOB, "ETH", "1"), to(BOB, "ETH", "1")];
    assert_eq!(word(&judged(None, &few)), "Allowed");
    assert_eq!(word(&judged(intent(), &few)), "IntentMismatch", "one that is not needed has to fit all the same");
    assert_eq!(word(&judged(intent(), &[cancel(SAFE), change(3)])), "IntentMismatch");
}

#[test]
fn the_kind_is_cancel_where_nothing_is_transferred() {
    let transfers = changed(|local_policy| {
        local_policy.kinds = Some([custody::local_policy::OperationKind::Transfer].into());
    });
    let policy = policy(&transfers, &[]);
    assert_eq!(word(&of(&[to(BOB, "ETH", "1"), change(3)]).judge(&policy)), "Allowed");
    assert_eq!(word(&of(&[cancel(SAFE), change(3)]).judge(&policy)), "KindNotAllowed");
    assert_eq!(word(&of(&[change(3)]).judge(&policy)), "KindNotAllowed");
}
