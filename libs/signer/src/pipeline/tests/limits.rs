//! Promises about money and nonces over time.

use std::sync::atomic::Ordering;

use custody::local_policy::Rolling;

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn hourly(amount: &str) -> Option<Rolling> {
    Some(Rolling { amount: amount.to_owned(), window_seconds: 3600 })
}

async fn pay(signer: &Running, wallet: &str, amount: u128, nonce: u64) -> Outcome {
    signer.ask(sign(&payment(wallet, &transfer("ETH", amount), nonce))).await
}

#[tokio::test]
async fn rolling_limits_bound_a_wallet_and_all_wallets_also_when_100_ask_at_once() {
    let pair = Pair::start().await;
    let wallets: Vec<String> = (0..20).map(|n| format!("wallet-{n}")).collect();
    join_all(wallets.iter().map(|wallet| pair.wallet(wallet))).await;
    let keeper = &pair.keeper;
    keeper.under(eth(|eth| (eth.per_wallet, eth.total) = (hourly("6"), hourly("15"))), false);

    // A cancel counts nothing, and each wallet's own limit holds before the total one.
    signed(pay(keeper, "wallet-0", 4, 0).await);
    signed(keeper.ask(sign(&payment("wallet-0", &cancel(SAFE), 1))).await);
    assert_eq!(refused(pay(keeper, "wallet-0", 3, 2).await), "OverWindow");
    let asked = wallets[1..].iter().flat_map(|wallet| (1..=5).map(move |amount| (wallet, amount)));
    let outcomes = join_all(asked.map(async |(wallet, amount)| (amount, pay(keeper, wallet, amount, 0).await))).await;
    let moved: u128 =
        outcomes.iter().filter(|(_, it)| matches!(it, Outcome::Signed(_))).map(|(amount, _)| amount).sum();
    assert_eq!(4 + moved, 15, "all of the limit and nothing more");
    let refusals = outcomes.into_iter().filter(|(_, it)| !matches!(it, Outcome::Signed(_))).map(|(_, it)| refused(it));
    assert!(refusals.into_iter().all(|reason| ["OverWindow", "NonceUsed"].contains(&reason.as_str())));

    // Also after a restart; and a window later it is free again.
    let pair = pair.restart().await;
    let keeper = &pair.keeper;
    keeper.under(eth(|eth| (eth.per_wallet, eth.total) = (hourly("6"), hourly("15"))), false);
    assert_eq!(refused(pay(keeper, "wallet-0", 1, 2).await), "OverWindow");
    keeper.pass(2 * HOUR_MS);
    signed(pay(keeper, "wallet-0", 6, 2).await);
}

#[tokio::test]
async fn outstanding_money_counts_until_it_is_settled_and_a_window_longer_but_not_what_a_cancel_outran() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    for wallet in ["alice", "bob", "carol"] {
        pair.wallet(wallet).await;
    }
    keeper.under(eth(|eth| eth.total = hourly("10")), true);
    keeper.lease().await;
    let paid = signed(pay(keeper, "alice", 10, 0).await);
    keeper.pass(10 * HOUR_MS);
    keeper.lease().await;
    assert_eq!(refused(pay(keeper, "bob", 1, 0).await), "OverWindow", "however long ago");
    assert_eq!(keeper.settle("alice", 0, &paid.digest).await, Outcome::Done(Done {}));
    assert_eq!(refused(pay(keeper, "bob", 1, 0).await), "OverWindow", "a window from its settlement on");
    keeper.pass(HOUR_MS + HOUR_MS / 32);
    keeper.lease().await;
    signed(pay(keeper, "bob", 10, 0).await);

    // What the cancel has outrun counts from its signature on.
    keeper.pass(2 * HOUR_MS);
    keeper.lease().await;
    let ended = signed(keeper.ask(sign(&payment("bob", &cancel(SAFE), 0))).await);
    assert_eq!(refused(pay(keeper, "carol", 1, 0).await), "OverWindow", "the cancel is signed, not settled");
    assert_eq!(keeper.settle("bob", 0, &ended.digest).await, Outcome::Done(Done {}));
    signed(pay(keeper, "carol", 10, 0).await);
}

#[tokio::test]
async fn with_a_sentinel_a_nonce_opens_when_the_one_before_is_attested_and_app_attests_nothing() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(local_policy(), true);
    keeper.lease().await;
    let first = signed(pay(keeper, "alice", 1, 0).await);
    let second = request(sign(&payment("alice", &transfer("ETH", 1), 1)));
    assert_eq!(unavailable(keeper.answer(&second).await), "Unsettled");
    assert_eq!(refused(pay(keeper, "alice", 1, 2).await), "NonceNotNext");

    let settlement = |wallet: &str, nonce, digest: &[u8]| Settlement {
        digest: digest.to_vec(),
        ..Settlement::new(wallet, CHAIN, Claim::Sequence(nonce), [0; 32])
    };
    let attest = |settlements| request(Operation::Settle(Settle { settlements }));
    let good = settlement("alice", 0, &first.digest);
    for role in [Role::App, Role::Keeper, Role::Cooler] {
        assert_eq!(refused(keeper.say(role, &attest(vec![good.clone()])).await), "NotSentinel");
    }
    let table = [
        (vec![good.clone(), settlement("bob", 0, &[1; 32])], "WalletUnknown"),
        (vec![good.clone(), settlement("alice", 1, &[1; 31])], "Malformed"),
        (vec![good.clone(), settlement("alice", 0, &[1; 32])], "SettledOtherwise"),
        (vec![good.clone(); MAX_BATCH_ITEMS + 1], "Malformed"),
    ];
    for (settlements, reason) in table {
        assert_eq!(refused(keeper.say(Role::Sentinel, &attest(settlements)).await), reason);
        assert_eq!(unavailable(keeper.answer(&second).await), "Unsettled", "nothing of it was noted");
    }
    assert_eq!(keeper.settle("alice", 0, &first.digest).await, Outcome::Done(Done {}));
    assert_eq!(keeper.settle("alice", 0, &first.digest).await, Outcome::Done(Done {}), "again");
    signed(keeper.answer(&second).await);
    assert_eq!(refused(keeper.settle("alice", 0, &[1; 32]).await), "SettledOtherwise");
    assert_eq!(refused(pay(keeper, "alice", 2, 0).await), "NonceUsed");
    assert_eq!(refused(keeper.ask(sign(&payment("alice", &cancel(SAFE), 0))).await), "NonceSettled");
}

#[tokio::test]
async fn a_second_decision_prepares_no_statement() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let keeper = &pair.keeper;
    keeper.under(eth(|eth| (eth.per_wallet, eth.total) = (hourly("100"), hourly("100"))), false);
    let prepared = keeper.store.count_prepared().await;
    // The result of each is written with the next.
    for nonce in 0..2 {
        signed(pay(keeper, "alice", 1, nonce).await);
    }
    let first = prepared.load(Ordering::Relaxed);
    assert!(first > 0, "the first ones are prepared");
    for nonce in 2..6 {
        signed(pay(keeper, "alice", 1, nonce).await);
    }
    assert_eq!(prepared.load(Ordering::Relaxed), first);
}
