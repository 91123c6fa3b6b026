//! A file of an earlier build opens, and everything in it that protects still does.

use std::collections::BTreeMap;

use chain::{Amount, Claim};
use custody::{CustodyId, Role};
use policy::{Payees, Scope, Window};
use protocol::ops::SettlementState;
use rusqlite::Connection;

use super::*;
use crate::{
    history::History,
    store::{Attested, FILE, Kind, Ledger, Progress, Spend, Store, StoreError, Watermark},
};

const CHAIN: &str = "eip155:31337";

/// As the build with version 2 left it: alice has paid at nonce 0, which is settled, and at 1, which is not, and which
/// she has cancelled; bob has paid at 0 before amounts were counted until their settlement.
const VERSION_2: &str = "
    INSERT INTO wallets (wallet, hot_keys, salt, record) VALUES ('alice', x'01', x'00', x'02'), ('bob', x'03', x'00', x'04');
    INSERT INTO addresses VALUES ('alice', 'eip155:31337', '0xA'), ('bob', 'eip155:31337', '0xB');
    INSERT INTO watermarks (wallet, chain, nonce, kind, digest, recorded_at) VALUES
        ('alice', 'eip155:31337', 0, 'payment', unhex(replace(hex(zeroblob(32)), '00', '01')), 100),
        ('alice', 'eip155:31337', 1, 'payment', unhex(replace(hex(zeroblob(32)), '00', '02')), 200),
        ('alice', 'eip155:31337', 1, 'cancel', unhex(replace(hex(zeroblob(32)), '00', '03')), 300),
        ('bob', 'eip155:31337', 0, 'payment', unhex(replace(hex(zeroblob(32)), '00', '04')), 400);
    INSERT INTO settlements VALUES ('alice', 'eip155:31337', 0, unhex(replace(hex(zeroblob(32)), '00', '01')), 1000);
    INSERT INTO spends VALUES
        ('alice', 'eip155:31337', 0, unhex(replace(hex(zeroblob(32)), '00', '01')), 'ETH', unhex(printf('%064x', 5)), 900, 1000),
        ('alice', 'eip155:31337', 1, unhex(replace(hex(zeroblob(32)), '00', '02')), 'ETH', unhex(printf('%064x', 7)), 2000, NULL),
        ('bob', 'eip155:31337', 0, unhex(replace(hex(zeroblob(32)), '00', '04')), 'ETH', unhex(printf('%064x', 9)), 2000, 2000);
    INSERT INTO freezes VALUES ('bob', 'observer', 'odd', 5), ('carol', 'admin', 'hers', 6);
    INSERT INTO operations (sender, operation_id, digest, result) VALUES
        ('observer', x'01', x'02', x'03'), ('app', x'01', x'02', x'03');
    INSERT INTO heads VALUES ('cooler', 0, 7, x'05');
    INSERT INTO floors (content, seen_at_ms, superseded_at_ms) VALUES
        ('{\"assets\":[{\"chain\":\"eip155:31337\",\"symbol\":\"ETH\",\"asset\":\"native\",\"decimals\":18,\"perTransaction\":\"1\"}],
          \"looseningDelaySeconds\":60}', 1, 1000), ('{}', 2, NULL);
    INSERT INTO documents VALUES ('manifest', 'as it was'),
        ('trust', '{\"shapeVersion\":1,\"floor\":{\"assets\":[1]},\"peers\":{\"app\":[2],\"observer\":[3]}}');
    INSERT INTO audit VALUES (1, zeroblob(32), x'0a086f62736572766572');
";

fn version_2(data_dir: &std::path::Path) {
    let connection = Connection::open(data_dir.join(FILE)).unwrap();
    for step in &MIGRATIONS[..2] {
        connection.execute_batch(step).unwrap();
    }
    connection.execute_batch(VERSION_2).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
}

fn mark(wallet: &str, nonce: u64, kind: Kind, id: u8) -> Watermark {
    let (wallet, chain) = (wallet.to_owned(), CHAIN.to_owned());
    Watermark { wallet, chain, claims: vec![Claim::Sequence(nonce)], kind, id: [id; 32] }
}

async fn look<T: Send + 'static>(
    store: &Store,
    look: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.decide(10_000, look).await.unwrap()
}

#[tokio::test]
async fn wallets_watermarks_settlements_and_amounts_of_version_2_are_intact() {
    let dir = tempfile::tempdir().unwrap();
    version_2(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let wallets = store.wallets().await.unwrap();
    assert_eq!(wallets.iter().map(|it| it.wallet.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(wallets[0].addresses, [(CHAIN.to_owned(), "0xA".to_owned())]);

    let nonces = look(&store, |ledger| Ok([ledger.nonces("alice", CHAIN, 1)?, ledger.nonces("bob", CHAIN, 0)?])).await;
    assert_eq!((nonces[0].next, nonces[0].highest, nonces[0].outstanding), (1, Some(1), Some(1)));
    assert_eq!((nonces[0].payment, nonces[1].payment), (Some([2; 32]), Some([4; 32])));
    for known in
        [mark("alice", 0, Kind::Payment, 1), mark("alice", 1, Kind::Cancel, 3), mark("bob", 0, Kind::Payment, 4)]
    {
        assert!(look(&store, move |ledger| ledger.recorded(&known)).await, "it may be signed again");
    }
    for (wallet, nonce) in [("alice", 0), ("alice", 1), ("bob", 0)] {
        let second = mark(wallet, nonce, Kind::Payment, 99);
        assert!(store.decide(0, move |ledger| ledger.record(&second)).await.is_err(), "a second payment at a nonce");
    }
    let attested = |id: u8, state| Attested { id: [id; 32], state, attester: String::new() };
    let known = look(&store, |ledger| ledger.attested("alice", CHAIN, &Claim::Sequence(0))).await;
    assert_eq!(known, Some(attested(1, SettlementState::Final)), "what was attested before was meant for good");
    let progress = look(&store, |ledger| ledger.progress("alice", CHAIN)).await;
    assert_eq!(progress, Progress { next: 1, next_final: 1 });

    // 7 is outstanding; 5 and 9 count for a window from 1000 and 2000 on.
    let window = |length_ms| Window { scope: Scope::Total, length_ms, payees: Payees::All, limit: Amount::ZERO };
    let spent = |length_ms| move |ledger: &Ledger<'_>| ledger.spent(&window(length_ms), "alice", CHAIN, "ETH");
    assert_eq!(look(&store, spent(64_000)).await, Amount::from(21));
    assert_eq!(look(&store, spent(640)).await, Amount::from(7));
    // The cancel is settled: the payment that it outran counts from its signature on.
    let ended = attested(3, SettlementState::Final);
    look(&store, move |ledger| ledger.attest("alice", CHAIN, &Claim::Sequence(1), &ended)).await;
    assert_eq!(look(&store, spent(640)).await, Amount::ZERO);
    assert_eq!(look(&store, spent(64_000)).await, Amount::from(21));
}

#[tokio::test]
async fn what_was_called_otherwise_in_version_2_has_its_present_name() {
    let dir = tempfile::tempdir().unwrap();
    version_2(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let freezes = look(&store, |ledger| ledger.freezes()).await;
    let by: BTreeMap<_, _> = freezes.iter().map(|it| (it.wallet.as_str(), it.requester.as_str())).collect();
    assert_eq!(by, BTreeMap::from([("bob", "sentinel"), ("carol", "admin")]));
    let held = look(&store, |ledger| ledger.held_local_policies()).await;
    assert_eq!(held.len(), 1, "a local policy that was superseded 9 s ago holds on for 60 s");
    assert_eq!(held[0].assets[0].per_transaction, "1");
    let trust = store.document(crate::store::Document::Trust).await.unwrap().unwrap();
    let trust: serde_json::Value = serde_json::from_str(&trust).unwrap();
    let expected = serde_json::json!({
        "shapeVersion": 1, "localPolicy": {"assets": [1]}, "peers": {"app": [2], "sentinel": [3]},
    });
    assert_eq!(trust, expected);
    assert_eq!(store.document(crate::store::Document::Manifest).await.unwrap().unwrap(), "as it was");
    let senders = look(&store, |ledger| {
        let mut query = ledger.connection.prepare("SELECT sender FROM operations WHERE sender > '' ORDER BY sender")?;
        Ok(query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(senders.await, ["app", "sentinel"]);
    let record = look(&store, |ledger| {
        Ok(ledger.connection.query_row("SELECT record FROM audit WHERE seq = 1", [], |row| row.get::<_, Vec<u8>>(0))?)
    });
    assert_eq!(record.await, b"\x0a\x08observer", "records are hashed: they stay");
}

/// As the build with version 4 left it: alice has paid at nonce 0, and nobody noted whom.
const VERSION_4: &str = "
    INSERT INTO wallets (wallet, hot_keys, salt, record) VALUES ('alice', x'01', x'00', x'02');
    INSERT INTO addresses VALUES ('alice', 'eip155:31337', '0xA');
    INSERT INTO claims (wallet, chain, nonce, kind, id) VALUES
        ('alice', 'eip155:31337', 0, 'payment', unhex(replace(hex(zeroblob(32)), '00', '01')));
    INSERT INTO spends VALUES
        ('alice', 'eip155:31337', unhex(replace(hex(zeroblob(32)), '00', '01')), 'ETH', unhex(printf('%064x', 5)), 900, NULL);
";

#[tokio::test]
async fn payments_of_version_4_have_no_payee_and_those_after_it_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    for step in &MIGRATIONS[..4] {
        connection.execute_batch(step).unwrap();
    }
    connection.execute_batch(VERSION_4).unwrap();
    connection.pragma_update(None, "user_version", 4).unwrap();
    drop(connection);
    let store = Store::open(dir.path()).unwrap();
    let pay = |ledger: &Ledger<'_>| {
        let mark = mark("alice", 1, Kind::Payment, 2);
        ledger.record(&mark)?;
        let Watermark { wallet, chain, id, .. } = mark;
        let (asset, amount, to) = ("ETH".to_owned(), Amount::from(7), Some("0xB".to_owned()));
        ledger.spend(&Spend { wallet, chain, id, asset, amount, to }, true)
    };
    look(&store, pay).await;
    let exported = |ledger: &Ledger<'_>| {
        let mut paid = Vec::new();
        ledger.each_wallet(|row| {
            paid.extend(row.outstanding.into_iter().map(|payment| (payment.nonce, payment.amount, payment.to)));
            Ok::<_, StoreError>(())
        })?;
        Ok(paid)
    };
    assert_eq!(
        store.export(0, exported).await.unwrap(),
        [(0, Amount::from(5), None), (1, Amount::from(7), Some("0xB".to_owned()))]
    );
    let spent = look(&store, |ledger| {
        let window = Window { scope: Scope::Total, length_ms: 640, payees: Payees::All, limit: Amount::ZERO };
        ledger.spent(&window, "alice", CHAIN, "ETH")
    });
    assert_eq!(spent.await, Amount::from(12), "both are outstanding");
}

/// As the build with version 5 left it: alice's nonce 0 is settled, and a payment at nonce 1 waits.
const VERSION_5: &str = "
    INSERT INTO settled (wallet, chain, nonce, id, at_ms)
        VALUES ('alice', 'eip155:31337', 0, unhex(replace(hex(zeroblob(32)), '00', '01')), 900);
    INSERT INTO announcements (digest, wallet, chain, summary, at_ms)
        VALUES (unhex(replace(hex(zeroblob(32)), '00', '02')), 'alice', 'eip155:31337', 'much', 900);
";

#[tokio::test]
async fn settlements_of_version_5_are_final_and_what_was_announced_waits_on() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    for step in &MIGRATIONS[..5] {
        connection.execute_batch(step).unwrap();
    }
    connection.execute_batch(VERSION_5).unwrap();
    connection.pragma_update(None, "user_version", 5).unwrap();
    drop(connection);
    let store = Store::open(dir.path()).unwrap();
    let (known, progress, waiting) = look(&store, |ledger| {
        let known = ledger.attested("alice", CHAIN, &Claim::Sequence(0))?;
        Ok((known, ledger.progress("alice", CHAIN)?, ledger.waiting()?))
    })
    .await;
    let (state, attester) = (SettlementState::Final, String::new());
    assert_eq!(known, Some(Attested { id: [1; 32], state, attester }));
    assert_eq!(progress, Progress { next: 1, next_final: 1 });
    assert_eq!((waiting.len(), waiting[0].digest, waiting[0].at_ms), (1, [2; 32], 900));
}

/// A file that the build with version 2 exported.
const HISTORY_1: &str = r#"{
  "format": "multisig-history", "version": 1, "custodyId": "07070707070707070707070707070707", "role": "keeper",
  "wallets": [{
    "wallet": "alice", "chain": "eip155:31337",
    "signed": [
      {"nonce": 0, "kind": "payment", "digest": "0101010101010101010101010101010101010101010101010101010101010101"},
      {"nonce": 1, "kind": "payment", "digest": "0202020202020202020202020202020202020202020202020202020202020202"},
      {"nonce": 1, "kind": "cancel", "digest": "0303030303030303030303030303030303030303030303030303030303030303"}
    ],
    "settled": [
      {"nonce": 0, "digest": "0101010101010101010101010101010101010101010101010101010101010101", "atMs": 1000}
    ],
    "spends": [
      {"nonce": 0, "digest": "0101010101010101010101010101010101010101010101010101010101010101", "asset": "ETH",
       "amount": "5", "signedAtMs": 900, "countsFromMs": 1000},
      {"nonce": 1, "digest": "0202020202020202020202020202020202020202020202020202020202020202", "asset": "ETH",
       "amount": "7", "signedAtMs": 2000}
    ]
  }],
  "evacuations": [], "intents": [], "announcements": [],
  "freezes": [{"wallet": "bob", "requester": "observer", "reason": "odd", "atMs": 5}]
}"#;

#[tokio::test]
async fn a_history_of_version_1_is_imported_and_protects_like_the_file_that_it_was_exported_from() {
    let custody = CustodyId::from_slice(&[7; 16]).unwrap();
    let history = History::parse(HISTORY_1.as_bytes(), custody, Role::Keeper).unwrap();
    assert_eq!(history.freezes[0].requester, "sentinel");
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    version_2(old.path());
    let (new, old) = (Store::open(new.path()).unwrap(), Store::open(old.path()).unwrap());
    assert!(look(&new, move |ledger| ledger.import(&history)).await.unwrap());
    let exported = async |store: &Store| {
        let write =
            move |ledger: &Ledger<'_>| Ok(ledger.write_history(custody, Role::Keeper, None, Vec::new()).unwrap());
        let file = store.export(10_000, write).await.unwrap();
        let text = String::from_utf8(file).unwrap();
        assert!(text.contains("\"version\":4") && text.contains("\"nonce 1\""), "of the present version: {text}");
        History::parse(text.as_bytes(), custody, Role::Keeper).unwrap()
    };
    let (imported, mut migrated) = (exported(&new).await, exported(&old).await);
    migrated.wallets.retain(|it| it.wallet == "alice");
    assert_eq!(imported.wallets, migrated.wallets);
    assert_eq!(imported.freezes[0].requester, "sentinel");
}
