use chain::Claim;

use super::{ELSEWHERE, alice, id, new, with_alice};
use crate::{
    domain::{Kind, Payment, Transaction},
    store::{Payments, StoreError, Wallets, sqlite::Sqlite},
};

async fn change(store: &Sqlite, sql: String) {
    store.open.database.write(move |db| Ok::<_, StoreError>(db.execute_batch(&sql)?)).await.unwrap();
}

/// The row and the column that an error names.
fn named<T: std::fmt::Debug>(read: Result<T, StoreError>) -> (String, &'static str) {
    match read {
        Err(StoreError::Damaged { row, column, .. }) => (row, column),
        other => panic!("not damaged: {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_payment_is_named_with_the_column_that_is_wrong() {
    let (_dir, store) = with_alice().await;
    let whole = store.accept(new(1, "k")).await.unwrap().unwrap();
    let lower = ELSEWHERE.to_lowercase();
    for (column, value) in [
        ("recipient", "'nowhere'"),
        ("recipient", &format!("'{lower}'")),
        ("asset", "''"),
        ("amount", "'0'"),
        ("amount", "'07'"),
        ("intent", "X'FF'"),
        ("status", "'paid'"),
        ("stage", "'paid'"),
        ("ending", "'paid'"),
        ("operation_seed", "X'00'"),
        ("cancel_attempts", "-1"),
        ("not_before", "9223372036854775807"),
        ("block", "-1"),
        ("moved", "'07'"),
        ("back", "'paid'"),
    ] {
        change(&store, format!("UPDATE payments SET {column} = {value}")).await;
        let found = named(store.payment(id(1)).await);
        assert_eq!(found, (format!("payment '{}'", id(1)), column), "{value}");
        let Payment { status, stage, .. } = &whole;
        change(
            &store,
            format!(
                "UPDATE payments SET recipient = '{}', asset = 'ETH', amount = '7', intent = NULL, status = '{}',
                   stage = '{}', ending = NULL, operation_seed = X'{}', cancel_attempts = 0, not_before = NULL,
                   block = NULL, moved = NULL, back = NULL",
                whole.order.to,
                status.as_str(),
                stage.as_str(),
                "07".repeat(16)
            ),
        )
        .await;
        assert_eq!(store.payment(id(1)).await.unwrap(), Some(whole.clone()));
    }
    change(&store, "DELETE FROM payment_history; UPDATE payments SET id = 'x'".to_owned()).await;
    assert_eq!(named(store.next_payment(&alice()).await), ("payment 'x'".to_owned(), "id"));
}

#[tokio::test]
async fn a_damaged_transaction_is_named_with_its_payment() {
    let (_dir, store) = with_alice().await;
    let payment = store.accept(new(1, "k")).await.unwrap().unwrap();
    let (kind, claims) = (Kind::Payment, vec![Claim::Sequence(4)]);
    let transaction =
        Transaction { kind, claims, from_block: 5, unsigned: vec![6], id: [7; 32], hot: None, cool: None };
    store.record(payment, transaction).await.unwrap();
    let name = format!("transaction 'payment' of payment '{}'", id(1));
    change(&store, "UPDATE claims SET claim = 'nonce 04'".to_owned()).await;
    assert_eq!(named(store.transaction(id(1), kind).await), (name.clone(), "claim"));
    change(&store, "DELETE FROM claims".to_owned()).await;
    assert_eq!(named(store.transaction(id(1), kind).await), (name, "claims"));
}

#[tokio::test]
async fn a_damaged_wallet_is_named() {
    let (_dir, store) = with_alice().await;
    change(&store, "UPDATE wallets SET address = 'nowhere', hot_key = X'02'".to_owned()).await;
    assert_eq!(named(store.wallet(&alice()).await), ("wallet 'alice'".to_owned(), "address"));
}
