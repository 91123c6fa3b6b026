use std::{fs, os::unix::fs::PermissionsExt};

use chain::{Claim, Relayed};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{SHOP, alice, id, new, open, rules};
use crate::{
    domain::{History, Kind, NewPayment, Payment, RelayPurpose, Seed, Stage, Status, Transaction},
    store::{
        Payments, Relays, StoreError, Wallets,
        sqlite::{FILE, MIGRATIONS, Sqlite, VERSION},
    },
};

#[test]
fn a_second_process_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(&dir);
    let Err(error) = Sqlite::open(dir.path(), rules(), Timestamp::now) else { panic!("two Apps on one database") };
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
}

#[tokio::test]
async fn an_app_that_ended_leaves_the_volume_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = open(&dir);
        store.ask_for_wallet(&alice(), Seed([0; 16]), None).await.unwrap();
    }
}

/// Builds before group commits locked the database itself, for good.
#[test]
fn an_app_of_an_older_build_on_the_same_volume_is_seen_and_sees_this_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let older = || {
        let db = Connection::open(dir.path().join(FILE)).unwrap();
        db.busy_timeout(std::time::Duration::ZERO).unwrap();
        let locked =
            db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT;");
        locked.map(|()| db)
    };
    let old = older().unwrap();
    let Err(error) = Sqlite::open(dir.path(), rules(), Timestamp::now) else { panic!("two Apps on one database") };
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    drop(old);
    let _new = open(&dir);
    assert_eq!(older().unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
}

/// The version before counters.
#[tokio::test]
async fn payments_that_were_there_before_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch(&MIGRATIONS[..3].concat()).unwrap();
    db.execute_batch(
        "PRAGMA user_version = 3; INSERT INTO wallets (id, operation_seed) VALUES ('alice', zeroblob(16));",
    )
    .unwrap();
    for (number, status) in [(1, "confirmed"), (2, "confirmed"), (3, "refused")] {
        db.execute(
            "INSERT INTO payments (id, idempotency_key, wallet, recipient, asset, amount, status, stage, operation_seed)
             VALUES (?1, ?1, 'alice', ?2, 'ETH', '7', ?3, 'done', zeroblob(16))",
            [&id(number).to_string(), SHOP, status],
        )
        .unwrap();
    }
    drop(db);
    let store = open(&dir);
    assert_eq!(store.counts().await.unwrap(), [(Status::Confirmed, 2), (Status::Refused, 1)]);
}

#[test]
fn a_database_of_another_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = Sqlite::open(dir.path(), rules(), Timestamp::now);
    assert!(matches!(refused, Err(StoreError::UnknownVersion { found: 99, newest: VERSION })));
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_the_present_with_all_that_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch(MIGRATIONS[0]).unwrap();
    db.execute_batch(
        "INSERT INTO wallets (id, operation_seed) VALUES ('alice', zeroblob(16)); PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    for _ in 0..2 {
        let store = open(&dir);
        assert_eq!(store.wallet(&alice()).await.unwrap().unwrap().seed, Seed([0; 16]));
        assert!(store.client_key(&alice()).await.unwrap().is_none());
    }
}

/// The version before claims: one nonce and one signature of each owner.
#[tokio::test]
async fn a_payment_of_the_second_version_goes_on_with_its_nonce_its_signatures_and_what_was_sent_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch(&MIGRATIONS[..2].concat()).unwrap();
    db.execute_batch(&format!(
        "PRAGMA user_version = 2;
         INSERT INTO wallets (id, operation_seed) VALUES ('alice', zeroblob(16));
         INSERT INTO payments
           (id, idempotency_key, wallet, recipient, asset, amount, status, stage, operation_seed, intent)
         VALUES ('{payment}', 'k', 'alice', '{SHOP}', 'ETH', '7', 'broadcast', 'send', zeroblob(16),
                 X'0A0101120102');
         INSERT INTO transactions VALUES ('{payment}', 'payment', 4, 5, X'06', zeroblob(32), X'08', X'09');
         INSERT INTO transactions VALUES ('{payment}', 'cancel', 4, 5, X'07', zeroblob(32), X'0A', NULL);
         INSERT INTO relays VALUES (X'{first}', '{payment}', 'deployment', 1, X'0B', 1);
         INSERT INTO relays VALUES (X'{second}', '{payment}', 'payment', 2, X'0C', 0);
         INSERT INTO relays VALUES (X'{third}', '{payment}', 'payment', 3, X'0D', 0);",
        payment = id(1),
        first = "AB".repeat(32),
        second = "EF".repeat(32),
        third = "CD".repeat(32),
    ))
    .unwrap();
    drop(db);
    let store = open(&dir);
    let payment = store.payment(id(1)).await.unwrap().unwrap();
    assert_eq!((payment.stage, payment.order.intent.clone().unwrap().signer), (Stage::Send, vec![2]));
    // Whoever called before there were callers is the caller `default`.
    let again = NewPayment { order: payment.order, ..new(2, "k") };
    assert_eq!(store.accept(again.clone()).await.unwrap().unwrap().id, id(1));
    let other = NewPayment { caller: "other".parse().unwrap(), ..again };
    assert_eq!(store.accept(other).await.unwrap().unwrap().id, id(2));
    let signed = Transaction {
        kind: Kind::Payment,
        claims: vec![Claim::Sequence(4)],
        from_block: 5,
        unsigned: vec![6],
        id: [0; 32],
        hot: Some(vec![vec![8]]),
        cool: Some(vec![vec![9]]),
    };
    assert_eq!(store.transaction(id(1), Kind::Payment).await.unwrap(), Some(signed.clone()));
    let cancel = Transaction { kind: Kind::Cancel, unsigned: vec![7], hot: Some(vec![vec![10]]), cool: None, ..signed };
    assert_eq!(store.transaction(id(1), Kind::Cancel).await.unwrap(), Some(cancel));
    let relayed = |hash: &str, raw, nonce| {
        let (tx, claim) = (format!("0x{}", hash.repeat(32)), Claim::Sequence(nonce));
        (RelayPurpose::Execution(Kind::Payment).errand(id(1)), Relayed { tx, raw: vec![raw], claim })
    };
    let (second, third) = (relayed("ef", 12, 2), relayed("cd", 13, 3));
    // The first had ended.
    assert_eq!(store.relays_under_way().await.unwrap(), [second, third.clone()]);
    store.relays_ended(vec![format!("0x{}", "ef".repeat(32))]).await.unwrap();
    assert_eq!(store.relays_under_way().await.unwrap(), [third]);
}

/// The version before finality: one status for what both signers and the chain are asked.
#[tokio::test]
async fn states_of_the_third_version_get_the_names_of_the_present_and_times_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute_batch(&MIGRATIONS[..3].concat()).unwrap();
    db.execute_batch(
        "PRAGMA user_version = 3; INSERT INTO wallets (id, operation_seed) VALUES ('alice', zeroblob(16));",
    )
    .unwrap();
    let cases = [
        ("requested", "prepare", 0, Status::Accepted),
        ("checking", "check", 0, Status::Accepted),
        ("checking", "wait", 0, Status::Accepted),
        ("checking", "deploy", 0, Status::Checked),
        ("waiting", "wait", 0, Status::Waiting),
        ("signing", "sign", 1, Status::Checked),
        ("signing", "wait", 1, Status::Checked),
        ("signing", "cancel", 1, Status::Checked),
        ("signing", "send", 2, Status::Signed),
        ("broadcast", "send", 2, Status::Broadcast),
        ("confirmed", "done", 2, Status::Confirmed),
        ("refused", "done", 0, Status::Refused),
    ];
    for (number, (status, stage, signed, _)) in cases.iter().enumerate() {
        let payment = id(number as u8);
        db.execute_batch(&format!(
            "INSERT INTO payments (id, idempotency_key, wallet, recipient, asset, amount, status, stage, operation_seed)
             VALUES ('{payment}', '{number}', 'alice', '{SHOP}', 'ETH', '7', '{status}', '{stage}', zeroblob(16));
             INSERT INTO transactions (payment, kind, from_block, unsigned, id)
             VALUES ('{payment}', 'payment', 5, X'06', zeroblob(32));"
        ))
        .unwrap();
        for owner in ["hot", "cool"].iter().take(*signed) {
            db.execute_batch(&format!("INSERT INTO signatures VALUES ('{payment}', 'payment', '{owner}', 0, X'08');"))
                .unwrap();
        }
    }
    drop(db);
    let store = open(&dir);
    for (number, (status, stage, _, expected)) in cases.into_iter().enumerate() {
        let payment = store.payment(id(number as u8)).await.unwrap().unwrap();
        assert_eq!((payment.status, payment.stage.as_str()), (expected, stage), "{status}");
    }
    assert_eq!(store.history(id(9)).await.unwrap(), History::default());
    let payment = store.payment(id(9)).await.unwrap().unwrap();
    store.update(Payment { status: Status::Confirmed, stage: Stage::Done, ..payment }).await.unwrap();
    let History { created, updated, changes } = store.history(id(9)).await.unwrap();
    assert_eq!((created, updated, changes.len()), (None, Some(Timestamp::UNIX_EPOCH), 1));
}

#[tokio::test]
async fn nobody_else_may_read_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.ask_for_wallet(&alice(), Seed([0; 16]), None).await.unwrap();
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap()).collect();
    assert!(!files.is_empty());
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
}
