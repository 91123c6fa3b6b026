use chain::Claim;
use custody::Role;

use super::{alice, new, open, with_alice};
use crate::{
    domain::{Epoch, Kind, Lost, NewPayment, Payment, PaymentId, Reading, Seed, Stage, Status, Transaction},
    store::{
        Payments, Recovery,
        sqlite::{
            FILE,
            recovery::{begin_epoch, inspect},
        },
    },
};

const READING: Reading = Reading { store: [1; 16], number: 9, block: 70 };

fn payment_id(key: &str) -> PaymentId {
    PaymentId::of("default", &key.parse().unwrap())
}

fn lost(key: &str, id: u8) -> Lost {
    Lost { payment: payment_id(key), wallet: alice(), claims: vec![Claim::Sequence(3)], id: [id; 32], from_block: 6 }
}

fn transaction(id: u8) -> Transaction {
    let (hot, cool, unsigned) = (None, None, vec![1]);
    Transaction {
        kind: Kind::Payment,
        claims: vec![Claim::Sequence(3)],
        from_block: 6,
        unsigned,
        id: [id; 32],
        hot,
        cool,
    }
}

#[tokio::test]
async fn what_a_signer_tells_of_unknown_payments_is_kept_with_how_far_it_was_read() {
    let (dir, store) = with_alice().await;
    assert_eq!(store.reading(Role::Keeper).await.unwrap(), None);
    let two = vec![lost("a", 1), lost("b", 2)];
    assert_eq!(store.note_lost(Role::Keeper, READING, two.clone(), true).await.unwrap(), 2);
    assert_eq!(store.note_lost(Role::Cooler, READING, two, true).await.unwrap(), 0, "the same from the other one");
    assert_eq!(store.note_lost(Role::Keeper, READING, vec![lost("a", 3)], false).await.unwrap(), 1);
    drop(store);
    let store = open(&dir);
    assert_eq!(store.reading(Role::Keeper).await.unwrap(), Some(READING));
    assert_eq!(store.lost(payment_id("a")).await.unwrap(), [lost("a", 3), lost("a", 1)], "the newest first");
    assert_eq!(store.lost(payment_id("c")).await.unwrap(), []);
}

#[tokio::test]
async fn a_payment_that_came_further_than_its_row_says_begins_again_and_no_other_does() {
    let (_dir, store) = with_alice().await;
    let mut payments = Vec::new();
    for key in ["behind", "up-to-date", "ended"] {
        let new = NewPayment { id: payment_id(key), ..new(1, key) };
        payments.push(store.accept(new).await.unwrap().unwrap());
    }
    let at = |number: usize, stage, status| Payment { stage, status, ..payments[number].clone() };
    store.record(at(0, Stage::Check, Status::Accepted), transaction(7)).await.unwrap();
    store.record(at(1, Stage::Send, Status::Broadcast), transaction(2)).await.unwrap();
    store.update(at(2, Stage::Done, Status::Confirmed)).await.unwrap();
    let told = vec![lost("behind", 1), lost("up-to-date", 9), lost("up-to-date", 2), lost("ended", 3)];
    // Of what it knows, App is told nothing new; while it pays it knows best.
    assert_eq!(store.note_lost(Role::Keeper, READING, told.clone(), false).await.unwrap(), 0);
    assert_eq!(store.lost(payment_id("behind")).await.unwrap(), []);
    assert_eq!(store.note_lost(Role::Keeper, READING, told, true).await.unwrap(), 0);
    store.prepare_lost().await.unwrap();

    let behind = store.payment(payment_id("behind")).await.unwrap().unwrap();
    assert_eq!((behind.stage, behind.status), (Stage::Prepare, Status::Accepted));
    assert_ne!(behind.seed, Seed([7; 16]), "its operations are others");
    assert_eq!(store.transaction(payment_id("behind"), Kind::Payment).await.unwrap(), None);
    assert_eq!(store.lost(payment_id("behind")).await.unwrap(), [lost("behind", 1)]);
    let up_to_date = store.payment(payment_id("up-to-date")).await.unwrap().unwrap();
    assert_eq!(up_to_date, at(1, Stage::Send, Status::Broadcast));
    assert_eq!(store.lost(payment_id("ended")).await.unwrap(), []);
}

#[tokio::test]
async fn a_copy_is_whole_while_the_database_is_in_use_and_begins_a_new_epoch_when_it_is_restored() {
    let (dir, store) = with_alice().await;
    store.accept(new(1, "k")).await.unwrap().unwrap();
    let room = tempfile::tempdir().unwrap();
    let copy = room.path().join(FILE);
    store.copy_to(&copy).await.unwrap();
    assert!(store.copy_to(&copy).await.is_err(), "nothing is written over");
    let inspected = inspect(&copy).unwrap();
    assert_eq!((inspected.epoch, inspected.wallets, inspected.payments, inspected.unfinished), (1, 1, 1, 1));
    assert_eq!(begin_epoch(&copy).unwrap(), Epoch(2));
    let restored = open(&room);
    assert_eq!((restored.epoch().await.unwrap(), store.epoch().await.unwrap()), (Epoch(2), Epoch(1)));
    assert_eq!(restored.next_payment(&alice()).await.unwrap(), store.next_payment(&alice()).await.unwrap());
    drop(dir);
}
