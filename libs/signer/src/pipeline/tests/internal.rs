//! Promises about payments to other wallets of the custody.

use custody::local_policy::{Destinations, InternalLimits, Rolling};

use super::*;

fn hourly(amount: &str) -> Option<Rolling> {
    Some(Rolling { amount: amount.to_owned(), window_seconds: 3600 })
}

fn to(address: &str, amount: u128) -> Effect {
    Effect::Transfer { asset: "ETH".to_owned(), to: address.to_owned(), amount: amount.into() }
}

/// ETH: 5 outside in an hour; 3 at once and 4 in an hour to wallets of the custody.
fn apart() -> LocalPolicy {
    eth(|eth| {
        eth.total = hourly("5");
        eth.internal = Some(InternalLimits {
            per_transaction: "3".to_owned(),
            per_wallet: None,
            total: hourly("4"),
            time_lock: None,
            intent_above: None,
        });
    })
}

#[tokio::test]
async fn the_payee_that_app_names_has_to_be_the_one_that_is_paid_by_each_signers_own_registry() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let (bob, carol) = (pair.wallet("bob").await, pair.wallet("carol").await);
    let named = |effect: &Effect, wallet: &str| Payment { to_wallet: wallet.to_owned(), ..payment("alice", effect, 0) };
    let outside = transfer("ETH", 1);
    for (payment, reason) in [
        (named(&to(&carol, 1), "bob"), "NotThatWallet"),
        (named(&outside, "bob"), "NotThatWallet"),
        (named(&cancel(SAFE), "bob"), "NotThatWallet"),
        (named(&to(&bob, 1), "dave"), "WalletUnknown"),
        (named(&to(&bob, 1), "../bob"), "Malformed"),
    ] {
        for signer in [&pair.keeper, &pair.cooler] {
            assert_eq!(refused(signer.ask(Operation::Check(payment.clone())).await), reason);
        }
        assert_eq!(refused(pair.keeper.ask(sign(&payment)).await), reason);
    }
    let good = named(&to(&bob, 1), "bob");
    let hot = signed(pair.keeper.ask(sign(&good)).await);
    signed(pair.cooler.ask(countersign(&good, &hot)).await);
}

#[tokio::test]
async fn which_limits_hold_is_decided_by_the_registry_and_each_kind_is_counted_apart() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let bob = pair.wallet("bob").await;
    let keeper = &pair.keeper;
    keeper.under(apart(), false);
    let pay = async |keeper: &Running, effect: Effect, nonce| keeper.ask(sign(&payment("alice", &effect, nonce))).await;
    // App does not say that it is a wallet of the custody, and it is judged as one all the same.
    assert_eq!(refused(pay(keeper, to(&bob, 4), 0).await), "OverLimit");
    signed(pay(keeper, to(&bob, 3), 0).await);
    assert_eq!(refused(pay(keeper, to(&bob, 2), 1).await), "OverWindow");
    signed(pay(keeper, transfer("ETH", 5), 1).await);
    assert_eq!(refused(pay(keeper, transfer("ETH", 1), 2).await), "OverWindow");
    signed(pay(keeper, to(&bob, 1), 2).await);

    let pair = pair.restart().await;
    let keeper = &pair.keeper;
    keeper.under(apart(), false);
    assert_eq!(refused(pay(keeper, to(&bob, 1), 3).await), "OverWindow", "also after a restart");
    // Where the local policy does not tell them apart, both count together.
    keeper.under(eth(|eth| eth.total = hourly("10")), false);
    assert_eq!(refused(pay(keeper, to(&bob, 2), 3).await), "OverWindow", "9 of 10 are spent");
    signed(pay(keeper, to(&bob, 1), 3).await);
}

#[tokio::test]
async fn a_wallet_of_the_custody_needs_no_place_on_the_list_if_the_local_policy_says_so() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let bob = pair.wallet("bob").await;
    let listed = |internal| {
        let mut policy = local_policy();
        policy.destinations = Some(Destinations { allow: Vec::new(), cooling_seconds: 0, internal });
        policy
    };
    let check = async |effect: &Effect| pair.cooler.ask(Operation::Check(payment("alice", effect, 0))).await;
    pair.cooler.serve(Role::Cooler, Terms { local_policy: listed(false), ..Terms::default() });
    assert_eq!(refused(check(&to(&bob, 1)).await), "DestinationNotAllowed");
    pair.cooler.serve(Role::Cooler, Terms { local_policy: listed(true), ..Terms::default() });
    assert!(matches!(check(&to(&bob, 1)).await, Outcome::Allowed(_)));
    assert_eq!(refused(check(&transfer("ETH", 1)).await), "DestinationNotAllowed");
}
