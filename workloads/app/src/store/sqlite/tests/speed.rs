use futures::future::join_all;
use rusqlite::Connection;

use super::{super::plans::PLANS, alice, id, new, with_alice};
use crate::{
    domain::{Payment, Status},
    store::{Payments, StoreError, sqlite::MIGRATIONS},
};

#[test]
fn a_statement_that_goes_through_all_rows_of_a_growing_table_is_found() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&MIGRATIONS.concat()).unwrap();
    for sql in [
        "SELECT count(*) FROM payments",
        "SELECT status, count(*) FROM payments GROUP BY status",
        "SELECT tx FROM relays WHERE ended = 1",
        "UPDATE relays SET ended = 1 WHERE claim = ?1",
        "SELECT id FROM payments WHERE recipient = ?1",
        "SELECT id FROM payments WHERE wallet = ?1 AND stage <> 'done' ORDER BY amount",
    ] {
        assert!(PLANS.grows(&db, sql).is_some(), "{sql}");
    }
    for sql in [
        "SELECT status, payments FROM payment_counts",
        "SELECT DISTINCT wallet FROM payments WHERE stage <> 'done'",
        "SELECT tx FROM relays WHERE ended = 0 ORDER BY rowid",
        "SELECT id FROM payments WHERE wallet = ?1 AND stage <> 'done' ORDER BY sequence LIMIT 1",
        "SELECT id FROM payments WHERE id = ?1",
        "SAVEPOINT step",
    ] {
        assert_eq!(PLANS.grows(&db, sql), None, "{sql}");
    }
}

#[tokio::test]
async fn a_test_that_runs_such_a_statement_fails() {
    let (_dir, store) = with_alice().await;
    let scan = store.read(|db| Ok(db.query_row("SELECT count(*) FROM payments", [], |row| row.get::<_, i64>(0))?));
    assert!(matches!(scan.await, Err(StoreError::Stopped)));
}

#[tokio::test]
async fn payments_are_counted_as_they_come_and_move() {
    let (_dir, store) = with_alice().await;
    let accepted = join_all((1..=5).map(|number| store.accept(new(number, &number.to_string())))).await;
    let payments: Vec<Payment> = accepted.into_iter().map(|payment| payment.unwrap().unwrap()).collect();
    assert_eq!(store.accept(new(6, "1")).await.unwrap().unwrap().id, id(1), "asked for before: not counted again");
    let first = payments[0].status;
    for (payment, status) in payments.into_iter().zip([first, Status::Confirmed, Status::Confirmed]) {
        store.update(Payment { status, ..payment }).await.unwrap();
    }
    let mut counts = store.counts().await.unwrap();
    counts.sort_by_key(|(_, payments)| *payments);
    assert_eq!(counts, [(Status::Confirmed, 2), (first, 3)]);
    assert_eq!(store.next_payment(&alice()).await.unwrap().unwrap().id, id(1));
}
