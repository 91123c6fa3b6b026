//! Payments to other wallets of the custody, and those to everybody else.

use super::*;

fn to_bobs_wallet(asset: &str, amount: &str) -> Payment {
    Payment { internal: [BOB.to_owned()].into(), ..Payment::new(transfer(asset, amount)) }
}

fn outside(asset: &str, amount: &str) -> Payment {
    Payment::new(transfer(asset, amount))
}

fn limits(per_transaction: &str) -> InternalLimits {
    InternalLimits {
        per_transaction: per_transaction.to_owned(),
        per_wallet: None,
        total: None,
        time_lock: None,
        intent_above: None,
    }
}

/// 1000 in one payment, 50 to a wallet of the custody.
fn apart(change: impl FnOnce(&mut AssetLimits)) -> LocalPolicy {
    changed(|policy| {
        policy.assets[0].internal = Some(limits("50"));
        change(&mut policy.assets[0]);
    })
}

#[test]
fn one_limit_is_for_both_kinds_where_the_local_policy_does_not_tell_them_apart() {
    let policy = policy(&changed(|policy| policy.assets[0].total = rolling("1500", 60)), &[]);
    for payment in [to_bobs_wallet, outside] {
        assert_eq!(word(&payment("ETH", "1000").judge(&policy)), "Allowed");
        assert_eq!(word(&payment("ETH", "1001").judge(&policy)), "OverLimit");
        let mut more = payment("ETH", "1000");
        more.spent.insert((Scope::Total, 60_000), 501.into());
        assert_eq!(word(&more.judge(&policy)), "OverWindow");
    }
}

#[test]
fn limits_of_internal_payments_stand_in_the_place_of_the_others() {
    let policy = policy(
        &apart(|asset| {
            asset.time_lock = time_lock("10", 60);
            asset.intent_above = None;
        }),
        &[],
    );
    assert_eq!(word(&to_bobs_wallet("ETH", "50").judge(&policy)), "Allowed", "no time lock of its own");
    assert_eq!(word(&to_bobs_wallet("ETH", "51").judge(&policy)), "OverLimit");
    assert_eq!(word(&outside("ETH", "50").judge(&policy)), "Pending");
    assert_eq!(word(&outside("USDT", "51").judge(&policy)), "Allowed");
    let locked = apart(|asset| asset.internal.as_mut().unwrap().time_lock = time_lock("10", 60));
    let locked = super::policy(&locked, &[]);
    assert_eq!(word(&to_bobs_wallet("ETH", "11").judge(&locked)), "Pending");
    assert_eq!(word(&outside("ETH", "11").judge(&locked)), "Allowed");
    let intended = changed(|policy| {
        policy.intent_signers = vec![signer(1)];
        policy.assets[0].internal = Some(InternalLimits { intent_above: Some("10".to_owned()), ..limits("50") });
    });
    let intended = super::policy(&intended, &[]);
    assert_eq!(word(&to_bobs_wallet("ETH", "11").judge(&intended)), "IntentMissing");
    assert_eq!(word(&outside("ETH", "11").judge(&intended)), "Allowed");
}

#[test]
fn each_kind_counts_in_its_own_windows_and_says_so() {
    let policy = policy(
        &apart(|asset| {
            asset.total = rolling("100", 60);
            asset.internal.as_mut().unwrap().total = rolling("60", 60);
        }),
        &[],
    );
    let key = (Scope::Total, 60_000);
    let spent = |payment: Payment, external: u128, internal: u128| Payment {
        spent: [(key, external.into())].into(),
        spent_internal: [(key, internal.into())].into(),
        ..payment
    };
    assert_eq!(word(&spent(to_bobs_wallet("ETH", "50"), 100, 10).judge(&policy)), "Allowed");
    let over = spent(to_bobs_wallet("ETH", "50"), 0, 11).judge(&policy);
    assert_eq!(word(&over), "OverWindow");
    assert!(message(over).contains("all wallets to wallets of this custody"));
    assert_eq!(word(&spent(outside("ETH", "50"), 50, 60).judge(&policy)), "Allowed");
    let over = spent(outside("ETH", "50"), 51, 0).judge(&policy);
    assert_eq!(word(&over), "OverWindow");
    assert!(message(over).contains("all wallets to addresses outside this custody"));
}

#[test]
fn a_transaction_to_both_kinds_keeps_the_limits_of_both() {
    let to = |to: &str, amount: u128| Effect::Transfer { asset: "ETH".into(), to: to.into(), amount: amount.into() };
    let policy = policy(&apart(|asset| asset.total = rolling("100", 60)), &[]);
    let both = |amount| Payment {
        internal: [BOB.to_owned()].into(),
        effects: vec![to(BOB, 1), to(CAROL, amount)],
        ..Payment::new(cancel(SAFE))
    };
    assert_eq!(word(&both(49).judge(&policy)), "Allowed");
    assert_eq!(word(&both(50).judge(&policy)), "OverLimit", "51 in one transaction");
    let mut spent = both(1);
    spent.spent.insert((Scope::Total, 60_000), 99.into());
    assert_eq!(word(&spent.judge(&policy)), "OverWindow");
}

#[test]
fn wallets_of_the_custody_are_off_the_list_only_if_the_local_policy_says_so() {
    let listed = |internal: bool| {
        changed(|policy| policy.destinations = destinations(&[CAROL], 10).map(|it| Destinations { internal, ..it }))
    };
    let strict = policy(&listed(false), &[]);
    assert_eq!(word(&to_bobs_wallet("ETH", "1").judge(&strict)), "DestinationNotAllowed");
    let open = policy(&listed(true), &[]);
    assert_eq!(word(&to_bobs_wallet("ETH", "1").judge(&open)), "Allowed", "and nothing cools");
    assert_eq!(word(&outside("ETH", "1").judge(&open)), "DestinationNotAllowed");
    let held = policy(&listed(true), &[listed(false)]);
    assert_eq!(word(&to_bobs_wallet("ETH", "1").judge(&held)), "DestinationNotAllowed", "loosening waits");
}

#[test]
fn an_earlier_local_policy_and_the_hub_tighten_both_kinds() {
    let earlier = changed(|policy| policy.assets[0].total = rolling("40", 60));
    let joined = policy(&apart(|asset| asset.internal = Some(limits("2000"))), &[earlier]);
    assert_eq!(word(&to_bobs_wallet("ETH", "41").judge(&joined)), "OverWindow", "it counts all payments");
    assert_eq!(word(&to_bobs_wallet("ETH", "40").judge(&joined)), "Allowed");
    let hub = hub(vec![limit(CHAIN, "ETH", "30")]);
    let limited = load(&apart(|_| {}), &[], &hub).unwrap();
    for payment in [to_bobs_wallet, outside] {
        assert_eq!(word(&payment("ETH", "31").judge(&limited)), "OverLimit");
    }
}

#[test]
fn telling_the_kinds_apart_shows_in_the_digest_and_only_where_it_decides() {
    let digest = |local_policy: &LocalPolicy| policy(local_policy, &[]).digest();
    assert_eq!(digest(&changed(|policy| policy.assets[0].internal = Some(limits("1000")))), digest(&local_policy()));
    let internal = |per_transaction| changed(|policy| policy.assets[0].internal = Some(limits(per_transaction)));
    assert_ne!(digest(&internal("50")), digest(&local_policy()));
    assert_ne!(digest(&internal("50")), digest(&internal("51")));
    let windows = |external: bool| {
        changed(|policy| {
            policy.assets[0].total = rolling("5", 60).filter(|_| external);
            policy.assets[0].internal =
                Some(InternalLimits { total: rolling("5", 60).filter(|_| !external), ..limits("1000") });
        })
    };
    assert_ne!(digest(&windows(true)), digest(&windows(false)));
    let list = |internal| {
        changed(|policy| policy.destinations = destinations(&[BOB], 0).map(|it| Destinations { internal, ..it }))
    };
    assert_ne!(digest(&list(true)), digest(&list(false)));
}
