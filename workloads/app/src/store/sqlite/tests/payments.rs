use std::sync::atomic::{AtomicI64, Ordering};

use chain::{Claim, Relayed};
use jiff::Timestamp;
use protocol::ops::Attestation;

use super::{ELSEWHERE, address, alice, id, new, open, rules, with_alice};
use crate::{
    domain::{History, Kind, NewPayment, Order, Payment, RelayPurpose, Seed, Stage, Status, Transaction},
    store::{Payments, Relays, Wallets, sqlite::Sqlite},
};

async fn accepted(store: &Sqlite, new: NewPayment) -> Payment {
    store.accept(new).await.unwrap().unwrap()
}

fn intent() -> Option<Attestation> {
    Some(Attestation { body: vec![1], signer: vec![2; 32], signature: vec![3; 64] })
}

#[tokio::test]
async fn the_same_key_and_order_are_one_payment() {
    let (_dir, store) = with_alice().await;
    let first = accepted(&store, new(1, "k")).await;
    assert_eq!(accepted(&store, new(2, "k")).await, first);
    assert_eq!(store.payment(id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_key_with_another_order_is_refused() {
    let (_dir, store) = with_alice().await;
    let NewPayment { order, .. } = new(1, "k");
    accepted(&store, new(1, "k")).await;
    for other in [
        Order { amount: "8".parse().unwrap(), ..order.clone() },
        Order { to: address(ELSEWHERE), ..order.clone() },
        Order { asset: "USDC".parse().unwrap(), ..order.clone() },
        Order { to_wallet: Some(alice()), ..order.clone() },
        Order { intent: intent(), ..order },
    ] {
        assert_eq!(store.accept(NewPayment { order: other, ..new(2, "k") }).await.unwrap(), None);
    }
}

#[tokio::test]
async fn payments_of_a_wallet_come_in_the_order_in_which_they_were_asked_for() {
    let (_dir, store) = with_alice().await;
    for number in [26, 1, 13] {
        accepted(&store, new(number, &number.to_string())).await;
    }
    assert_eq!(store.busy_wallets().await.unwrap(), [alice()]);
    for number in [26, 1, 13] {
        let next = store.next_payment(&alice()).await.unwrap().unwrap();
        assert_eq!(next.id, id(number));
        store.update(Payment { stage: Stage::Done, status: Status::Failed, ..next }).await.unwrap();
    }
    assert_eq!(store.next_payment(&alice()).await.unwrap(), None);
    assert!(store.busy_wallets().await.unwrap().is_empty());
    assert_eq!(store.counts().await.unwrap(), [(Status::Failed, 3)]);
}

fn transaction() -> Transaction {
    Transaction {
        kind: Kind::Cancel,
        claims: vec![Claim::Coin([4; 32], 1), Claim::Sequence(u64::from(u32::MAX))],
        from_block: 5,
        unsigned: vec![6],
        id: [7; 32],
        hot: Some(vec![vec![8], vec![9]]),
        cool: None,
    }
}

#[tokio::test]
async fn everything_that_changes_is_read_back() {
    let (dir, store) = with_alice().await;
    let order = Order { intent: intent(), to_wallet: Some("bob".parse().unwrap()), ..new(1, "k").order };
    let new = NewPayment { order, ..new(1, "k") };
    let payment = Payment {
        status: Status::Checked,
        stage: Stage::Cancel,
        reason: Some("R".into()),
        message: Some("m".into()),
        trouble: Some("t".into()),
        tx: Some("0x2".into()),
        block: Some(u64::from(u32::MAX)),
        moved: Some(6.into()),
        back: Some(Stage::Cancel),
        seed: Seed([9; 16]),
        ending: Some(Status::Refused),
        cancel_attempts: 3,
        reverts: 2,
        not_before: Some(Timestamp::from_millisecond(1_700_000_000_123).unwrap()),
        ..accepted(&store, new).await
    };
    store.record(payment.clone(), transaction()).await.unwrap();
    drop(store);
    let store = open(&dir);
    assert_eq!(store.payment(id(1)).await.unwrap(), Some(payment));
    assert_eq!(store.transaction(id(1), Kind::Cancel).await.unwrap(), Some(transaction()));
    assert_eq!(store.transaction(id(1), Kind::Payment).await.unwrap(), None);
}

#[tokio::test]
async fn each_change_that_callers_see_is_kept_with_its_time() {
    fn clock() -> Timestamp {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        Timestamp::from_millisecond(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(dir.path(), rules(), clock).unwrap();
    store.ask_for_wallet(&alice(), Seed([0; 16]), None).await.unwrap();
    let payment = accepted(&store, new(1, "k")).await;
    let sent = Payment { status: Status::Broadcast, stage: Stage::Send, block: Some(6), ..payment };
    let (tx, back) = (Some("0x2".to_owned()), Some(Stage::Send));
    let included = Payment { status: Status::Included, stage: Stage::Follow, block: Some(7), tx, back, ..sent.clone() };
    let moved = Payment { block: Some(8), ..included.clone() };
    let waits = Payment { trouble: Some("t".to_owned()), ..sent.clone() };
    // What callers see does not change from the first to the second.
    for change in [sent, waits.clone(), included, moved, waits] {
        store.update(change).await.unwrap();
    }
    let History { created, updated, changes } = store.history(id(1)).await.unwrap();
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert_eq!((created, updated), (Some(at(1)), Some(at(6))));
    let seen: Vec<_> = changes.iter().map(|change| (change.at, change.status, change.block)).collect();
    let (broadcast, included) = (Status::Broadcast, Status::Included);
    assert_eq!(
        seen,
        [
            (at(1), Status::Accepted, None),
            (at(2), broadcast, None),
            (at(4), included, Some(7)),
            (at(5), included, Some(8)),
            (at(6), broadcast, None),
        ]
    );
    assert_eq!(changes[2].tx.as_deref(), Some("0x2"));
}

#[tokio::test]
async fn a_followed_payment_lets_the_next_go_on_and_holds_its_claims() {
    let (_dir, store) = with_alice().await;
    let first = accepted(&store, new(1, "1")).await;
    let second = accepted(&store, new(2, "2")).await;
    store.record(Payment { stage: Stage::Follow, ..first.clone() }, transaction()).await.unwrap();
    assert_eq!(store.next_payment(&alice()).await.unwrap().map(|next| next.id), Some(second.id));
    let followed: Vec<_> = store.followed().await.unwrap().into_iter().map(|payment| payment.id).collect();
    assert_eq!(followed, [first.id]);
    let [held, other] = [transaction().claims[0], Claim::Sequence(7)];
    let holder = async |claims: &[Claim]| store.holder(&alice(), claims).await.unwrap();
    assert_eq!(holder(&[other, held]).await, Some(first.id));
    assert_eq!(holder(&[other]).await, None);
    assert_eq!(store.holder(&"bob".parse().unwrap(), &[held]).await.unwrap(), None);
    store.update(Payment { stage: Stage::Short, ..second }).await.unwrap();
    assert!(store.busy_wallets().await.unwrap().is_empty());
    assert_eq!(store.followed().await.unwrap().len(), 2);
    store.update(Payment { stage: Stage::Send, ..first.clone() }).await.unwrap();
    assert_eq!(store.next_payment(&alice()).await.unwrap().map(|next| next.id), Some(first.id));
    assert_eq!(holder(&[held]).await, None, "it goes first now");
}

#[tokio::test]
async fn a_transaction_is_written_over_as_a_whole_and_forgotten_as_a_whole() {
    let (_dir, store) = with_alice().await;
    let payment = accepted(&store, new(1, "k")).await;
    store.record(payment.clone(), transaction()).await.unwrap();
    let other = Transaction { claims: vec![Claim::Sequence(1)], hot: None, cool: Some(vec![vec![1]]), ..transaction() };
    store.record(payment.clone(), other.clone()).await.unwrap();
    assert_eq!(store.transaction(id(1), Kind::Cancel).await.unwrap(), Some(other));
    store.restart(payment.clone()).await.unwrap();
    assert_eq!(store.transaction(id(1), Kind::Cancel).await.unwrap(), None);
    store.record(payment, transaction()).await.unwrap();
    assert_eq!(store.transaction(id(1), Kind::Cancel).await.unwrap(), Some(transaction()));
}

#[tokio::test]
async fn a_relayed_transaction_is_kept_until_it_has_ended() {
    let (_dir, store) = with_alice().await;
    let payment = accepted(&store, new(1, "k")).await;
    let claim = Claim::Sequence(u64::from(u32::MAX));
    let relayed = Relayed { tx: format!("0x{}", "01".repeat(32)), raw: vec![2, 3], claim };
    let under_way = (RelayPurpose::Execution(Kind::Payment).errand(id(1)), relayed.clone());
    store.relay(under_way.0.clone(), relayed.clone()).await.unwrap();
    assert_eq!(store.relays_under_way().await.unwrap(), std::slice::from_ref(&under_way));
    store.relays_ended(vec![relayed.tx.clone()]).await.unwrap();
    assert_eq!(store.relays_under_way().await.unwrap(), []);
    store.relay(under_way.0.clone(), relayed).await.unwrap();
    store.restart(payment).await.unwrap();
    assert_eq!(store.relays_under_way().await.unwrap(), [under_way], "what is sent stays sent");
}
