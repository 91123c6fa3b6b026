//! Promises on a chain that is not EVM: a transaction uses up coins, each is signed for, and the wallet pays the fee.

use chain::Amount;
use custody::local_policy::{FeeCeiling, Rolling};
use test_chain::{FEE_PER_COIN, Output, coin, pay};

use super::*;

const BOB: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const HOUR_MS: u64 = 3_600_000;

/// 1000 in a payment and 1000 an hour, fees of at most 100.
fn terms(observed: bool) -> Terms {
    let mut coins = AssetLimits::new(test_chain::CHAIN, "COIN", "native", 8, "1000");
    coins.per_wallet = Some(Rolling { amount: "1000".to_owned(), window_seconds: 3600 });
    let fee = FeeCeiling { chain: test_chain::CHAIN.to_owned(), ceiling: "100".to_owned() };
    let local_policy = LocalPolicy { fees: vec![fee], ..LocalPolicy::new(vec![coins]) };
    Terms { local_policy, observed, ..Terms::default() }
}

/// Both signers, and wallets on the chain of coins.
async fn pair(observed: bool, wallets: &[&str]) -> Pair {
    let pair = Pair::of(Ceremony::random().and_destinations(test_chain::CHAIN, &[SAFE]).held()).await;
    for (role, signer) in [(Role::Keeper, &pair.keeper), (Role::Cooler, &pair.cooler)] {
        signer.serve(role, terms(observed));
    }
    for wallet in wallets {
        let register = registration(pair.hot(wallet).await);
        let register = RegisterWallet { chains: vec![test_chain::CHAIN.to_owned()], ..register };
        for signer in [&pair.keeper, &pair.cooler] {
            let outcome = signer.ask(Operation::RegisterWallet(register.clone())).await;
            assert!(matches!(outcome, Outcome::Registered(_)), "{outcome:?}");
        }
    }
    pair
}

fn output(to: &str, amount: u128) -> Output {
    Output { to: to.to_owned(), amount: Amount::from(amount) }
}

/// Everything beyond the outputs is the fee.
fn paying(wallet: &str, coins: &[Claim], outputs: &[Output]) -> Payment {
    let unsigned = pay(coins, outputs);
    Payment { wallet: wallet.to_owned(), chain: test_chain::CHAIN.to_owned(), unsigned, ..Payment::default() }
}

/// `amount` to Bob from two coins that leave nothing but the fee.
fn two_coins(wallet: &str, amount: u128, number: u64) -> (Payment, [Claim; 2]) {
    let coins = [coin(amount, number), coin(2 * FEE_PER_COIN, number + 1)];
    (paying(wallet, &coins, &[output(BOB, amount)]), coins)
}

async fn settle(signer: &Running, wallet: &str, claim: Claim, of: &Signed) -> Outcome {
    let id = of.digest.clone().try_into().unwrap();
    let settlements = vec![Settlement::new(wallet, test_chain::CHAIN, claim, id)];
    signer.say(Role::Sentinel, &request(Operation::Settle(Settle { settlements }))).await
}

#[tokio::test]
async fn each_coin_is_signed_for_and_cooler_signs_only_when_hot_has_signed_for_all() {
    let pair = pair(false, &["alice"]).await;
    let (payment, _) = two_coins("alice", 100, 1);
    let Outcome::Allowed(allowed) = pair.keeper.ask(Operation::Check(payment.clone())).await else {
        panic!("the check is allowed");
    };
    let hot = signed(pair.keeper.ask(sign(&payment)).await);
    assert_eq!((hot.digest.clone(), hot.signatures.len()), (allowed.digest, 2));
    assert_ne!(hot.signatures[0], hot.signatures[1]);

    let [first, second] = [hot.signatures[0].clone(), hot.signatures[1].clone()];
    let mut wrong = second.clone();
    wrong[3] ^= 1;
    let (other, _) = two_coins("alice", 200, 3);
    let of_other = signed(pair.keeper.ask(sign(&other)).await).signatures;
    for bad in [
        vec![first.clone(), wrong],
        vec![first.clone()],
        vec![second.clone()],
        vec![second.clone(), first.clone()],
        vec![first.clone(), first.clone()],
        vec![first.clone(), second.clone(), second.clone()],
        vec![first.clone(), of_other[1].clone()],
        vec![],
    ] {
        let ask = countersign(&payment, &Signed { signatures: bad, ..hot.clone() });
        assert_eq!(refused(pair.cooler.ask(ask).await), "HotSignatureInvalid");
    }
    let cool = signed(pair.cooler.ask(countersign(&payment, &hot)).await);
    assert_eq!((cool.digest, cool.signatures.len()), (hot.digest.clone(), 2));

    // The two together carry it out.
    let rules = test_chain::rules();
    let keeper = [pair.keeper.keys.own().message_key().verifying_key()];
    let hot_key = hot_keys(&pair.hot("alice").await, &keeper).unwrap().keys.remove(0).public_key;
    let owners = pair.custody.manifest.owners(rules.id(), &hot_key).unwrap();
    let wallet = rules.wallet(&owners, [0; 32]).unwrap();
    let signatures = [(KeyRole::Hot, hot.signatures.clone()), (KeyRole::Cool, cool.signatures)];
    rules.assemble(&payment.unsigned, &wallet, &signatures).unwrap();

    // The same again, from what is on disk.
    let pair = pair.restart().await;
    pair.keeper.serve(Role::Keeper, terms(false));
    assert_eq!(signed(pair.keeper.ask(sign(&payment)).await).signatures, hot.signatures);
}

#[tokio::test]
async fn a_coin_is_claimed_by_one_payment_of_one_wallet_and_by_its_cancel() {
    let pair = pair(false, &["alice", "bob"]).await;
    let keeper = &pair.keeper;
    let (paid, coins) = two_coins("alice", 100, 1);
    signed(keeper.ask(sign(&paid)).await);
    // Another payment that needs only one of the two coins, and the same coin in another wallet.
    let fresh = coin(50, 9);
    let again = paying("alice", &[fresh, coins[1]], &[output(BOB, 60)]);
    assert_eq!(refused(keeper.ask(Operation::Check(again.clone())).await), "CoinClaimed");
    assert_eq!(refused(keeper.ask(sign(&again)).await), "CoinClaimed");
    let foreign = paying("bob", &[coins[0]], &[output(BOB, 90)]);
    assert_eq!(refused(keeper.ask(sign(&foreign)).await), "CoinClaimed");
    let foreign_cancel = paying("bob", &coins, &[output(&SAFE.to_lowercase(), 0)]);
    assert_eq!(refused(keeper.ask(sign(&foreign_cancel)).await), "CoinClaimed");
    let rest = 100 + 2 * FEE_PER_COIN - 5;
    let foreign_cancel = paying("bob", &coins, &[output(&SAFE.to_lowercase(), 0), output(BOB, 0)]);
    assert_eq!(refused(keeper.ask(sign(&foreign_cancel)).await), "UnknownShape");
    // What was refused has claimed nothing.
    signed(keeper.ask(sign(&paying("alice", &[fresh], &[output(BOB, 40)]))).await);

    // The cancel takes the same coins back; it costs its fee and nothing else.
    let keys = [keeper.keys.own().message_key().verifying_key()];
    let hot_key = hot_keys(&pair.hot("alice").await, &keys).unwrap().keys.remove(0).public_key;
    let rules = test_chain::rules();
    let owners = pair.custody.manifest.owners(rules.id(), &hot_key).unwrap();
    let own = rules.wallet(&owners, [0; 32]).unwrap().address;
    let ended = paying("alice", &coins, &[output(&SAFE.to_lowercase(), 0), output(&own, rest)]);
    assert_eq!(signed(keeper.ask(sign(&ended)).await).signatures.len(), 2);
    let stolen = paying("alice", &coins, &[output(BOB, 0), output(&own, rest)]);
    assert_eq!(refused(keeper.ask(sign(&stolen)).await), "NotASafeDestination");
}

#[tokio::test]
async fn the_fee_counts_in_the_window_and_a_settled_coin_frees_what_is_outstanding() {
    let pair = pair(true, &["alice"]).await;
    let keeper = &pair.keeper;
    keeper.lease().await;
    // 970 and a fee of 20.
    let (paid, coins) = two_coins("alice", 970, 1);
    let first = signed(keeper.ask(sign(&paid)).await);
    let one_more = |amount: u128| paying("alice", &[coin(amount + 1, 5)], &[output(BOB, amount)]);
    assert_eq!(refused(keeper.ask(sign(&one_more(10))).await), "OverWindow", "11 of 10");
    signed(keeper.ask(sign(&one_more(9))).await);
    keeper.pass(10 * HOUR_MS);
    keeper.lease().await;
    let (later, _) = two_coins("alice", 970, 7);
    assert_eq!(refused(keeper.ask(sign(&later)).await), "OverWindow", "however long ago");

    // One of its coins is enough; then a window passes.
    assert_eq!(settle(keeper, "alice", coins[0], &first).await, Outcome::Done(Done {}));
    assert_eq!(
        settle(keeper, "alice", coins[1], &first).await,
        Outcome::Done(Done {}),
        "and the other one is accepted"
    );
    let (at_once, _) = two_coins("alice", 970, 9);
    assert_eq!(refused(keeper.ask(sign(&at_once)).await), "OverWindow", "a window from its settlement on");
    keeper.pass(2 * HOUR_MS);
    keeper.lease().await;
    let (free, _) = two_coins("alice", 970, 11);
    signed(keeper.ask(sign(&free)).await);

    // What is used up is used up, and not twice.
    let reused = paying("alice", &[coins[0]], &[output(BOB, 960)]);
    assert_eq!(refused(keeper.ask(sign(&reused)).await), "CoinClaimed");
    let other = Signed { digest: vec![9; 32], ..first };
    assert_eq!(refused(settle(keeper, "alice", coins[0], &other).await), "SettledOtherwise");
    assert_eq!(settle(keeper, "alice", coin(40, 40), &other).await, Outcome::Done(Done {}), "unknown here");
    let unknown = paying("alice", &[coin(40, 40)], &[output(BOB, 30)]);
    assert_eq!(refused(keeper.ask(sign(&unknown)).await), "CoinSettled");
    let both = Settlement { nonce: 1, ..Settlement::new("alice", test_chain::CHAIN, coin(41, 41), [9; 32]) };
    let both = request(Operation::Settle(Settle { settlements: vec![both] }));
    assert_eq!(refused(keeper.say(Role::Sentinel, &both).await), "Malformed");
}

#[tokio::test]
async fn several_payments_in_one_transaction_are_judged_together() {
    let pair = pair(false, &["alice"]).await;
    let keeper = &pair.keeper;
    let both = |first, second| {
        paying("alice", &[coin(first + second + 10, 1)], &[output(BOB, first), output(&SAFE.to_lowercase(), second)])
    };
    let dear = paying("alice", &[coin(500, 2)], &[output(BOB, 1)]);
    assert_eq!(refused(keeper.ask(sign(&dear)).await), "FeeTooHigh");
    assert_eq!(refused(keeper.ask(sign(&both(500, 491))).await), "OverLimit");
    signed(keeper.ask(sign(&both(500, 490))).await);
}
