//! Promises about time locks that lapse, announcements that replace each other, and vetoes of more than one payment.

use custody::local_policy::{MAX_LAPSE_SECONDS, TimeLock};

use super::*;
use crate::{
    store::{MAX_WAITING_OF_WALLET, Store},
    veto::VetoScope,
};

const DELAY_MS: u64 = 60_000;
const SHOP: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

fn locked(lapses_after_seconds: Option<u64>) -> LocalPolicy {
    let lock = TimeLock { lapses_after_seconds, ..TimeLock::new("5", DELAY_MS / 1000) };
    eth(|eth| eth.time_lock = Some(lock))
}

fn large(amount: u128, nonce: u64) -> Payment {
    payment("alice", &transfer("ETH", amount), nonce)
}

#[track_caller]
fn pending(outcome: Outcome) -> (u64, String) {
    match outcome {
        Outcome::Pending(pending) => (pending.not_before_ms, pending.reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_announcement_that_was_not_signed_in_time_has_to_wait_anew() {
    for (lapses, after_ms) in [(None, MAX_LAPSE_SECONDS * 1000), (Some(10), 10_000)] {
        let pair = Pair::start().await;
        let keeper = &pair.keeper;
        pair.wallet("alice").await;
        keeper.under(locked(lapses), false);
        let asked = request(sign(&large(6, 0)));
        assert_eq!(pending(keeper.answer(&asked).await), (keeper.now_ms() + DELAY_MS, String::new()));
        keeper.pass(DELAY_MS + after_ms);
        let check = keeper.ask(Operation::Check(large(6, 0))).await;
        assert_eq!(pending(check), (0, "AnnouncementLapsed".to_owned()));
        let until = keeper.now_ms() + DELAY_MS;
        assert_eq!(pending(keeper.answer(&asked).await), (until, "AnnouncementLapsed".to_owned()));
        assert_eq!(pending(keeper.answer(&asked).await), (until, String::new()), "it has begun and goes on");
        keeper.pass(DELAY_MS + after_ms - 1);
        signed(keeper.answer(&asked).await);
        let chain = keeper.chain().await;
        let reasons: Vec<_> = chain.iter().filter(|it| it.decision == "Pending").map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["", "AnnouncementLapsed"]);
    }
}

#[tokio::test]
async fn of_two_payments_announced_for_a_nonce_the_newer_one_waits_and_the_older_begins_anew() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(locked(None), false);
    let announce = async |amount| pending(keeper.ask(Operation::Announce(large(amount, 0))).await).0;
    announce(6).await;
    keeper.pass(DELAY_MS - 1);
    let until = announce(7).await;
    assert_eq!(until, keeper.now_ms() + DELAY_MS);
    keeper.pass(1);
    assert_eq!(pending(keeper.ask(Operation::Check(large(6, 0))).await).0, 0, "it was replaced");
    keeper.pass(DELAY_MS - 1);
    // Whoever asks for the older one again replaces the newer one, which was ready.
    assert_eq!(announce(6).await, keeper.now_ms() + DELAY_MS);
    assert_eq!(pending(keeper.ask(sign(&large(7, 0))).await).0, keeper.now_ms() + DELAY_MS);
    keeper.pass(DELAY_MS);
    signed(keeper.ask(sign(&large(7, 0))).await);
    let waits = keeper.store.look(keeper.now_ms(), |ledger| ledger.waiting()).await.unwrap();
    assert!(waits.is_empty(), "{waits:?}");
}

#[tokio::test]
async fn a_veto_of_a_wallet_or_destination_stands_until_it_is_lifted_and_cancels_are_signed_all_the_same() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    for wallet in ["alice", "bob"] {
        pair.wallet(wallet).await;
    }
    keeper.under(locked(None), false);
    let small = |wallet: &str| Operation::Check(payment(wallet, &transfer("ETH", 1), 0));
    for (scope, name, spares_bob) in [
        (VetoScope::Wallet, "alice", true),
        (VetoScope::Destination, SHOP, false),
        (VetoScope::Destination, SAFE, true),
    ] {
        assert!(keeper.store.decide(0, move |ledger| ledger.veto_all_of(scope, name)).await.unwrap());
        if name != SAFE {
            assert_eq!(refused(keeper.ask(small("alice")).await), "Vetoed");
            assert_eq!(refused(keeper.ask(Operation::Announce(large(6, 0))).await), "Vetoed");
        }
        let bobs = keeper.ask(small("bob")).await;
        assert_eq!(matches!(bobs, Outcome::Allowed(_)), spares_bob, "{bobs:?}");
        let ended = keeper.ask(Operation::Check(payment("alice", &cancel(SAFE), 0))).await;
        assert!(matches!(ended, Outcome::Allowed(_)), "{ended:?}");
        assert!(keeper.store.decide(0, move |ledger| ledger.lift_veto(scope, name)).await.unwrap());
    }
    assert!(matches!(keeper.ask(small("alice")).await, Outcome::Allowed(_)));
}

#[tokio::test]
async fn so_many_payments_wait_at_once_and_one_that_replaces_another_takes_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let waits = |wallet: &str, number: u64, claims: &[u64]| {
        let coin = |number: &u64| Claim::Coin([7; 32], u32::try_from(*number).unwrap());
        let mut id = [wallet.as_bytes()[0]; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let (wallet, chain) = (wallet.to_owned(), test_chain::CHAIN.to_owned());
        Watermark { wallet, chain, claims: claims.iter().map(coin).collect(), kind: Kind::Payment, id }
    };
    let announce = async |at: u64, mark: Watermark| {
        let decide = move |ledger: &Ledger<'_>| {
            let begun = ledger.announce(&mark, "much")?;
            if begun {
                ledger.wait_until(&mark, 1_000)?;
            }
            Ok(begun)
        };
        store.decide(at, decide).await.unwrap()
    };
    let most = MAX_WAITING_OF_WALLET as u64;
    for number in 0..most {
        assert!(announce(1, waits("alice", number, &[number])).await);
    }
    assert!(!announce(2, waits("alice", most, &[most])).await, "one too many");
    assert!(announce(2, waits("bob", 0, &[most])).await, "another wallet's");
    assert!(announce(2, waits("alice", 0, &[0])).await, "the same again");
    assert!(announce(2, waits("alice", most, &[0, 1])).await, "in the place of two");
    assert!(announce(2, waits("alice", most + 1, &[2 * most])).await, "so there is one place");
    assert!(!announce(2, waits("alice", most + 2, &[2 * most + 1])).await);
    let vetoed = waits("alice", most, &[]).id;
    assert!(store.decide(3, move |ledger| ledger.veto(&vetoed)).await.unwrap());
    assert!(announce(3, waits("alice", most + 2, &[2 * most + 1])).await, "what is vetoed waits no more");
    assert!(!announce(999, waits("alice", most + 3, &[2 * most + 2])).await);
    assert!(announce(1_000, waits("alice", most + 3, &[2 * most + 2])).await, "nor what has lapsed");
}
