//! Whatever happened to a store, its tally is that of its rows, unless somebody without the key wrote them.

use std::path::Path;

use chain::{Amount, Claim};
use custody::{CustodyId, Role};
use ed25519_dalek::SigningKey;
use policy::{Payees, Scope, Window};
use proptest::prelude::*;
use prost::Message;
use protocol::ops::{Attestation, AuditHead, SettlementState};
use rand_core::OsRng;
use tempfile::TempDir;

use super::*;
use crate::{
    store::{Attested, FILE, Kind, PeerHead, RegisteredWallet, Spend, Watermark, schema},
    veto::VetoScope,
};

const CHAIN: &str = "eip155:7";

fn key(fill: u8) -> Arc<StoreKey> {
    Arc::new(StoreKey::new(&[fill; 32], &mut OsRng))
}

fn entry(operation: &str, requester: &str) -> Entry {
    Entry { operation: operation.to_owned(), requester: requester.to_owned(), ..Entry::default() }
}

/// Opens a store with its key, which the first one makes, and compares its rows.
async fn opened(dir: &Path) -> Result<Store, StoreError> {
    let store = Store::open(dir)?;
    if store.sealed_store_key().await?.is_none() {
        let made = entry(STORE_KEY_MADE, "keeper");
        assert!(store.keep_store_key("vault:v1:sealed".to_owned(), key(1), made).await?);
    }
    store.authenticate(key(1)).await?;
    store.compare_rows().await?;
    Ok(store)
}

async fn new() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(dir.path()).await.unwrap();
    (dir, store)
}

/// What is done to a store; half of these find something in the way at times.
#[derive(Debug, Clone)]
enum Act {
    Pay {
        wallet: u8,
        nonce: u64,
        id: u8,
        amount: u64,
    },
    Settle {
        wallet: u8,
        nonce: u64,
        id: u8,
    },
    Revoke {
        wallet: u8,
        nonce: u64,
    },
    Sum {
        length_ms: u64,
    },
    Freeze(u8),
    Thaw(u8),
    Announce(u8),
    Veto(u8),
    VetoWallet(u8),
    Start,
    Intent {
        id: u8,
        digest: u8,
    },
    Register(u8),
    PeerHead(u64),
    Accept,
    /// All sums are counted anew, as after an import.
    Forget,
    /// Audited, and nothing else.
    Refuse,
}

fn acts() -> impl Strategy<Value = Act> {
    let small = || 0..4u8;
    prop_oneof![
        (small(), 0..4u64, small(), 1..9u64).prop_map(|(wallet, nonce, id, amount)| Act::Pay {
            wallet,
            nonce,
            id,
            amount
        }),
        (small(), 0..4u64, small()).prop_map(|(wallet, nonce, id)| Act::Settle { wallet, nonce, id }),
        (1..3u64).prop_map(|length| Act::Sum { length_ms: length * 6_400 }),
        small().prop_map(Act::Freeze),
        small().prop_map(Act::Thaw),
        small().prop_map(Act::Announce),
        small().prop_map(Act::Veto),
        small().prop_map(Act::VetoWallet),
        Just(Act::Start),
        (small(), 0..4u64).prop_map(|(wallet, nonce)| Act::Revoke { wallet, nonce }),
        (small(), small()).prop_map(|(id, digest)| Act::Intent { id, digest }),
        small().prop_map(Act::Register),
        (0..9u64).prop_map(Act::PeerHead),
        Just(Act::Accept),
        Just(Act::Forget),
        Just(Act::Refuse),
    ]
}

fn name(wallet: u8) -> String {
    format!("wallet-{wallet}")
}

fn act(ledger: &Ledger<'_>, act: &Act) -> Result<(), StoreError> {
    match *act {
        Act::Pay { wallet, nonce, id, amount } => {
            let (wallet, chain, claims) = (name(wallet), CHAIN.to_owned(), vec![Claim::Sequence(nonce)]);
            let mark = Watermark { wallet, chain, claims, kind: Kind::Payment, id: [id; 32] };
            // What stands before a claim that is in the way is taken back with it.
            ledger.append(entry("Sign", "app"))?;
            ledger.record(&mark)?;
            let Watermark { wallet, chain, id, .. } = mark;
            let (asset, amount) = ("COIN".to_owned(), Amount::from(u128::from(amount)));
            ledger.spend(&Spend { wallet, chain, id, asset, amount, to: None }, true)
        }
        Act::Settle { wallet, nonce, id } => {
            let attested = Attested { id: [id; 32], state: SettlementState::Final, attester: "sentinel".to_owned() };
            ledger.attest(&name(wallet), CHAIN, &Claim::Sequence(nonce), &attested)
        }
        Act::Revoke { wallet, nonce } => ledger.revoke(&name(wallet), CHAIN, &Claim::Sequence(nonce)),
        Act::Sum { length_ms } => {
            let window = Window { scope: Scope::Total, length_ms, payees: Payees::All, limit: Amount::ZERO };
            ledger.begin_windows(&[window])?;
            ledger.count_some(3)
        }
        Act::Freeze(wallet) => ledger.freeze(&name(wallet), "app", "why").map(drop),
        Act::Thaw(wallet) => ledger.thaw(&name(wallet)).map(drop),
        Act::Announce(id) => {
            let (wallet, chain, claims) = ("alice".to_owned(), CHAIN.to_owned(), vec![Claim::Sequence(id.into())]);
            let mark = Watermark { wallet, chain, claims, kind: Kind::Payment, id: [id; 32] };
            if ledger.announce(&mark, "much")? { ledger.wait_until(&mark, 9_000_000) } else { Ok(()) }
        }
        Act::VetoWallet(wallet) => ledger.veto_all_of(VetoScope::Wallet, &name(wallet)).map(drop),
        Act::Start => ledger.take_epoch(0).map(drop),
        Act::Veto(id) => ledger.veto(&[id; 32]).map(drop),
        Act::Intent { id, digest } => ledger.use_intent(&[id; 16], &[digest; 32]).map(drop),
        Act::Register(wallet) => {
            // Each address is wanted by two wallets.
            let addresses = vec![(CHAIN.to_owned(), format!("0x{}", wallet / 2))];
            let (wallet, record) = (name(wallet), vec![wallet]);
            ledger
                .register(RegisteredWallet { wallet, hot_keys: vec![1], salt: vec![0; 32], addresses, record })
                .map(drop)
        }
        Act::PeerHead(count) => {
            let head = AuditHead { count, ..AuditHead::default() };
            let attestation = Attestation { body: head.encode_to_vec(), signer: vec![1; 32], signature: vec![1; 64] };
            ledger.keep_head("cooler", &PeerHead { head, attestation }, false)
        }
        Act::Accept => {
            let (own, custody) = (SigningKey::from_bytes(&[1; 32]), CustodyId::from_slice(&[7; 16]).unwrap());
            ledger.append(entry("Unlock", "admin"))?;
            ledger.accept_chain(&own, custody, Role::Keeper)
        }
        Act::Forget => Ok(ledger.connection.execute_batch("DELETE FROM sums; DELETE FROM windows")?),
        Act::Refuse => ledger.append(entry("Sign", "app")).map(drop),
    }
}

/// One write of a store: its acts, and whether it fails at their end.
type Step = (Vec<Act>, bool);

async fn decide(store: &Store, at_ms: u64, (acts, fails): Step) {
    let decided = store.decide(at_ms, move |ledger| {
        acts.iter().try_for_each(|one| act(ledger, one))?;
        if fails { Err(StoreError::Closed) } else { Ok(()) }
    });
    let _ = decided.await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_tally_is_that_of_the_rows_whatever_was_done_and_taken_back_by_two_processes_on_one_file(
        steps in prop::collection::vec((any::<bool>(), (prop::collection::vec(acts(), 1..5), prop::bool::weighted(0.3))), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, one) = new().await;
            let other = opened(dir.path()).await.unwrap();
            for (at, (which, step)) in steps.into_iter().enumerate() {
                decide(if which { &one } else { &other }, at as u64 * 1_000, step).await;
                one.compare_rows().await.unwrap();
            }
            drop((one, other));
            opened(dir.path()).await.unwrap();
        });
    }
}

#[tokio::test]
async fn steps_that_share_a_commit_are_counted_together_and_those_that_fail_are_not() {
    let (dir, store) = new().await;
    let step = |wallet: u8| {
        let pay = Act::Pay { wallet: wallet % 8, nonce: u64::from(wallet / 8), id: wallet, amount: 1 };
        decide(&store, 1, (vec![pay, Act::Freeze(wallet)], wallet.is_multiple_of(3)))
    };
    futures::future::join_all((0..200).map(step)).await;
    store.compare_rows().await.unwrap();
    let frozen = store.look(0, |ledger| Ok(ledger.freezes()?.len())).await.unwrap();
    assert_eq!(frozen, 133);
    drop(store);
    opened(dir.path()).await.unwrap();
}

/// A story with something in each table that a thief would change.
async fn story() -> TempDir {
    let (dir, store) = new().await;
    let acts = vec![
        Act::Register(0),
        Act::Register(2),
        Act::Sum { length_ms: 6_400 },
        Act::Pay { wallet: 0, nonce: 0, id: 1, amount: 5 },
        Act::Pay { wallet: 2, nonce: 0, id: 2, amount: 7 },
        Act::Settle { wallet: 0, nonce: 0, id: 1 },
        Act::Freeze(3),
        Act::Announce(3),
        Act::Announce(2),
        Act::Veto(3),
        Act::VetoWallet(1),
        Act::Intent { id: 1, digest: 1 },
        Act::PeerHead(4),
        Act::Accept,
        Act::Start,
    ];
    decide(&store, 1_000, (acts, false)).await;
    store.compare_rows().await.unwrap();
    dir
}

fn thief(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join(FILE)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
}

async fn refused(dir: &Path) -> String {
    match opened(dir).await.err() {
        Some(error @ StoreError::Tampered(_)) => error.to_string(),
        other => panic!("not refused as StoreTampered: {other:?}"),
    }
}

#[tokio::test]
async fn whatever_a_thief_writes_is_named() {
    let cases = [
        ("DELETE FROM claims WHERE wallet = 'wallet-2'", "table claims"),
        ("UPDATE claims SET nonce = 9 WHERE wallet = 'wallet-2'", "table claims"),
        ("UPDATE claims SET recorded_at = recorded_at + 1 WHERE wallet = 'wallet-2'", "table claims"),
        ("DELETE FROM freezes", "table freezes"),
        ("UPDATE freezes SET wallet = 'nobody'", "table freezes"),
        ("UPDATE freezes SET pending = 1", "table freezes"),
        ("UPDATE spends SET amount = zeroblob(32)", "table spends"),
        ("DELETE FROM sums", "table sums"),
        ("DELETE FROM windows", "table windows"),
        ("DELETE FROM settled", "table settled"),
        (
            "INSERT INTO settled (wallet, chain, nonce, id, at_ms) VALUES ('wallet-2', 'eip155:7', 0, zeroblob(32), 1)",
            "table settled",
        ),
        ("DELETE FROM intents", "table intents"),
        ("UPDATE announcements SET vetoed_at_ms = NULL", "table announcements"),
        ("UPDATE announcements SET at_ms = 0", "table announcements"),
        ("DELETE FROM waiting", "table waiting"),
        ("DELETE FROM vetoes", "table vetoes"),
        ("UPDATE start SET epoch = 0", "table start"),
        ("UPDATE settled SET state = 'used'", "table settled"),
        ("UPDATE windows SET uncounted = 1", "table windows"),
        ("DELETE FROM wallets WHERE wallet = 'wallet-2'", "table wallets"),
        (
            "UPDATE addresses SET address = 'x' || address; UPDATE addresses SET address =
             CASE address WHEN 'x0x0' THEN '0x1' ELSE '0x0' END",
            "table addresses",
        ),
        ("DELETE FROM heads", "table heads"),
        ("DELETE FROM overrides", "table overrides"),
        ("DELETE FROM tally", "its tally is missing"),
        ("DELETE FROM tally; DELETE FROM store_key", "its store key is missing"),
        ("DELETE FROM store_key", "its store key is missing"),
        ("UPDATE tally SET sealed = zeroblob(600)", "not sealed by its store key"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "not the one of its tally"),
        (
            "INSERT INTO audit SELECT seq + 1, hash, record FROM audit ORDER BY seq DESC LIMIT 1",
            "record 5 has changed them",
        ),
        ("CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM claims; END", "another form"),
        ("CREATE VIEW v AS SELECT 1", "another form"),
        ("DROP INDEX one_payment_a_nonce", "another form"),
    ];
    for (sql, named) in cases {
        let dir = story().await;
        thief(dir.path()).execute_batch(sql).unwrap();
        let words = refused(dir.path()).await;
        assert!(words.contains(named), "{sql}: {words}");
    }
}

#[tokio::test]
async fn a_row_that_its_index_does_not_lead_to_is_named() {
    let dir = story().await;
    let hide = |connection: &Connection, sql: &str| {
        connection.pragma_update(None, "writable_schema", true).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.pragma_update(None, "writable_schema", "RESET").unwrap();
    };
    // The index stays as it is while its table's row gets another place.
    let connection = thief(dir.path());
    let hidden = "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'nonces';
                  DELETE FROM sqlite_schema WHERE name = 'nonces'";
    hide(&connection, hidden);
    drop(connection);
    let connection = thief(dir.path());
    connection.execute_batch("UPDATE claims SET rowid = rowid + 100").unwrap();
    hide(&connection, "INSERT INTO sqlite_schema SELECT * FROM kept");
    drop(connection);
    thief(dir.path()).execute_batch("DROP TABLE kept").unwrap();
    let words = refused(dir.path()).await;
    assert!(words.contains("table claims and what it is sought by disagree"), "{words}");
}

#[tokio::test]
async fn rows_of_before_with_the_tally_of_before_do_not_follow_the_chain_of_today() {
    let dir = story().await;
    let before = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join(FILE), before.path().join(FILE)).unwrap();
    let store = opened(dir.path()).await.unwrap();
    decide(&store, 2_000, (vec![Act::Pay { wallet: 0, nonce: 1, id: 3, amount: 1 }], false)).await;
    drop(store);
    let connection = thief(dir.path());
    connection.execute("ATTACH ?1 AS before", [before.path().join(FILE).to_str().unwrap()]).unwrap();
    for table in ["claims", "spends", "sums", "windows", "tally"] {
        let replay = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM before.{table}");
        connection.execute_batch(&replay).unwrap();
    }
    drop(connection);
    let words = refused(dir.path()).await;
    assert!(words.contains("as they were at record 4"), "{words}");
    // All of it is an older volume, which its peers know to be one.
    opened(before.path()).await.unwrap();
}

#[tokio::test]
async fn without_the_key_only_a_freeze_is_written_and_it_holds_at_once() {
    let (dir, store) = new().await;
    decide(&store, 0, (vec![Act::Freeze(1)], false)).await;
    let keyless = Store::open(dir.path()).unwrap();
    for denied in [Act::Thaw(1), Act::Register(0), Act::Intent { id: 1, digest: 1 }, Act::PeerHead(1)] {
        let outcome = keyless.decide(0, move |ledger| act(ledger, &denied)).await;
        assert_eq!(outcome, Err(StoreError::Keyless));
    }
    let freeze = |ledger: &Ledger<'_>| {
        assert!(ledger.freeze(&name(2), "admin", "theft")?);
        ledger.append(Entry { wallet: name(2), ..entry("Freeze", "admin") })
    };
    keyless.decide(5, freeze).await.unwrap();
    let frozen = store.look(0, |ledger| ledger.frozen(&name(2))).await.unwrap().unwrap();
    assert_eq!((frozen.reason.as_str(), frozen.at_ms), ("theft", 5));
    // It stays where the process ends before it has written again.
    drop((store, keyless));
    let store = opened(dir.path()).await.unwrap();
    assert_eq!(store.look(0, |ledger| Ok(ledger.freezes()?.len())).await.unwrap(), 2);
    // And counts like any other from the next write on: also where nothing else changes.
    decide(&store, 0, (Vec::new(), false)).await;
    let pending = "SELECT count(*) FROM freezes WHERE pending = 1";
    let left = store.look(0, |ledger| Ok(ledger.connection.query_row(pending, [], |row| row.get::<_, i64>(0))?));
    assert_eq!(left.await.unwrap(), 0);
    drop(store);
    thief(dir.path()).execute_batch("DELETE FROM freezes WHERE reason = 'theft'").unwrap();
    assert!(refused(dir.path()).await.contains("table freezes"));
}

#[tokio::test]
async fn a_freeze_that_waits_for_the_key_is_not_taken_away_as_long_as_its_record_is_there() {
    let (dir, store) = new().await;
    drop(store);
    let keyless = Store::open(dir.path()).unwrap();
    let freeze = |ledger: &Ledger<'_>| {
        ledger.freeze("", "admin", "theft")?;
        ledger.append(entry("Freeze", "admin"))
    };
    keyless.decide(5, freeze).await.unwrap();
    assert_eq!(keyless.decide(6, |ledger| ledger.thaw("")).await, Err(StoreError::Keyless));
    drop(keyless);
    thief(dir.path()).execute_batch("DELETE FROM freezes").unwrap();
    let words = refused(dir.path()).await;
    assert!(words.contains("record 2 has changed them"), "{words}");
}

#[tokio::test]
async fn another_key_opens_nothing_and_a_key_is_made_once() {
    let (dir, store) = new().await;
    let again = store.keep_store_key("vault:v1:other".to_owned(), key(2), entry(STORE_KEY_MADE, "keeper")).await;
    assert_eq!((again, store.sealed_store_key().await), (Ok(false), Ok(Some("vault:v1:sealed".to_owned()))));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.compare_rows().await, Err(StoreError::Keyless));
    assert!(matches!(store.authenticate(key(2)).await, Err(StoreError::Tampered(_))));
}

#[tokio::test]
async fn whoever_names_the_record_in_a_reason_makes_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let named = Entry { reason: STORE_KEY_MADE.to_owned(), ..entry("Freeze", "app") };
    store.decide(0, move |ledger| ledger.append(named)).await.unwrap();
    drop(store);
    opened(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_file_of_an_earlier_build_is_believed_once_and_on_the_record() {
    for role in ["keeper", "cooler"] {
        let dir = tempfile::tempdir().unwrap();
        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old-database").join(role).join(FILE);
        std::fs::copy(old, dir.path().join(FILE)).unwrap();
        let store = opened(dir.path()).await.unwrap();
        let told = store.look(0, |ledger| {
            let query = "SELECT record FROM audit WHERE seq = (SELECT max(seq) FROM audit)";
            let record: Vec<u8> = ledger.connection.query_row(query, [], |row| row.get(0))?;
            Ok(audit::Record::decode(record.as_slice()).unwrap().operation)
        });
        assert_eq!(told.await.unwrap(), STORE_KEY_MADE);
        drop(store);
        thief(dir.path()).execute_batch("DELETE FROM claims").unwrap();
        assert!(refused(dir.path()).await.contains("table claims"), "{role}");
    }
}

#[tokio::test]
async fn a_column_that_a_later_build_adds_changes_nothing_of_the_rows_that_are_there() {
    let dir = story().await;
    let connection = thief(dir.path());
    connection.execute_batch("ALTER TABLE claims ADD COLUMN later TEXT").unwrap();
    // Under another form only the rows are compared here.
    let sealed = Tally::kept(&connection).unwrap().unwrap();
    let (key, tables) = (key(1), |connection: &Connection| scan::tables(connection, &key(1)).unwrap());
    assert!(tables(&connection) == Tally::open(&key, &sealed).unwrap().tables);
    connection.execute_batch("UPDATE claims SET later = ''").unwrap();
    assert!(tables(&connection) != Tally::open(&key, &sealed).unwrap().tables);
}

#[test]
fn every_table_is_authenticated_or_says_why_not() {
    let tables = schema::expected().unwrap().into_iter().filter(|(kind, ..)| kind == "table").map(|(_, name, _)| name);
    let listed =
        tables::AUTHENTICATED.iter().map(|table| table.name).chain(tables::OTHERS.iter().map(|(name, _)| *name));
    let mut listed: Vec<_> = listed.map(str::to_owned).collect();
    listed.sort();
    assert_eq!(tables.collect::<Vec<_>>(), listed);
}

#[test]
fn rows_differ_by_table_column_kind_and_value_and_no_part_runs_into_the_next() {
    use rusqlite::types::ValueRef::{Blob, Integer, Null, Text};
    let key = key(1);
    let row = |table: &str, columns: &[(&'static str, rusqlite::types::ValueRef<'static>)]| {
        key.row(table, columns.iter().copied())
    };
    let rows = [
        row("t", &[("a", Text(b"x")), ("b", Text(b"y"))]),
        row("u", &[("a", Text(b"x")), ("b", Text(b"y"))]),
        row("t", &[("a", Text(b"xy")), ("b", Text(b""))]),
        row("t", &[("a", Text(b"x")), ("b", Blob(b"y"))]),
        row("t", &[("a", Text(b"x")), ("c", Text(b"y"))]),
        row("t", &[("a", Text(b"x")), ("b", Integer(121))]),
        row("t", &[("a", Text(b"x"))]),
    ];
    for (at, one) in rows.iter().enumerate() {
        assert!(rows[at + 1..].iter().all(|other| other != one));
    }
    assert!(rows[6] == row("t", &[("a", Text(b"x")), ("b", Null)]));
}

#[test]
fn sums_come_and_go_in_any_order() {
    let sum = |low: u8, high: u8| {
        let mut bytes = [high; 32];
        bytes[0] = low;
        sum::Sum::from_bytes(&bytes).unwrap()
    };
    let (a, b, all) = (sum(250, 255), sum(9, 0), sum(1, 0));
    assert!(a.plus(b) == b.plus(a) && a.plus(b).minus(b) == a && a.plus(b).minus(a) == b);
    assert!(sum(255, 255).plus(all) == sum::Sum::default() && sum::Sum::default().minus(all) == sum(255, 255));
    assert!(sum::Sum::from_bytes(&a.to_bytes()) == Some(a) && sum::Sum::from_bytes(&[0; 31]).is_none());
}
