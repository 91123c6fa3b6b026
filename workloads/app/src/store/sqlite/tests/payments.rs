use chain::{Claim, Relayed};
use jiff::Timestamp;
use protocol::ops::Attestation;

use super::{ELSEWHERE, address, alice, id, new, open, with_alice};
use crate::{
    domain::{Kind, NewPayment, Order, Payment, RelayPurpose, Seed, Stage, Status, Transaction},
    store::{Payments, Relays, sqlite::Sqlite},
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
    let new = NewPayment { order: Order { intent: intent(), ..new(1, "k").order }, ..new(1, "k") };
    let payment = Payment {
        status: Status::Signing,
        stage: Stage::Cancel,
        reason: Some("R".into()),
        message: Some("m".into()),
        trouble: Some("t".into()),
        tx: Some("0x2".into()),
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
