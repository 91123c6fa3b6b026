//! What the Vault sealed, wherever it is stored, for rewrapping it by a newer version of the key. Values that something
//! else sealed are not the Vault's and are passed over.

use rusqlite::Connection;

use super::{error::StoreError, writer::Store};

/// Rows that one look goes through at most, however few of them are still to be rewrapped.
const ROWS: i64 = 10_000;

/// The columns with sealed values, in the order in which they are rewrapped.
const COLUMNS: [Column; 7] = [
    Column { table: "identity", value: "nats_seed", wallet: "''", namespace: "''" },
    Column { table: "identity", value: "message_seed", wallet: "''", namespace: "''" },
    Column { table: "identity", value: "xkey_seed", wallet: "''", namespace: "''" },
    Column { table: "cool_keys", value: "secret", wallet: "''", namespace: "namespace" },
    Column { table: "store_key", value: "sealed", wallet: "''", namespace: "''" },
    Column { table: "hot", value: "entropy", wallet: "wallet", namespace: "''" },
    Column { table: "hot_keys", value: "secret", wallet: "wallet", namespace: "namespace" },
];
/// The first of those whose tables grow with the wallets: triggers of the schema keep count of them.
const COUNTED: usize = 5;

struct Column {
    table: &'static str,
    value: &'static str,
    wallet: &'static str,
    namespace: &'static str,
}

impl Column {
    /// The version in `vault:vN:...`: a text is cast by its leading digits.
    fn version(&self) -> String {
        format!("CAST(substr({}, 8) AS INTEGER)", self.value)
    }

    fn is_the_vaults(&self) -> String {
        format!("{} GLOB 'vault:v[0-9]*'", self.value)
    }
}

/// What a sealed value is for; with the custody it gives the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedFor {
    /// One of the signer's own seeds: 0 NATS, 1 message key, 2 XKey.
    Identity(usize),
    /// Cooler's key.
    CoolKey {
        /// CAIP-2 namespace.
        namespace: String,
    },
    /// Entropy of a user's phrase.
    Entropy {
        /// Wallet id.
        wallet: String,
    },
    /// A user's hot key.
    HotKey {
        /// Wallet id.
        wallet: String,
        /// CAIP-2 namespace.
        namespace: String,
    },
    /// The key by which the store's rows are authenticated.
    StoreKey,
}

/// A place in the order of all sealed values; the default is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedPlace {
    column: usize,
    row: i64,
}

/// A value that the Vault sealed, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// Where it is.
    pub place: SealedPlace,
    /// What it is for.
    pub sealed_for: SealedFor,
    /// `vault:vN:...`.
    pub value: String,
}

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedPage {
    /// In their order.
    pub values: Vec<SealedValue>,
    /// From where to look on; none: that was all.
    pub next: Option<SealedPlace>,
}

/// How old the sealed values are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedVersions {
    /// Lowest version of the key that a value needs; none where nothing is sealed.
    pub oldest: Option<u64>,
    /// Values below the version asked about.
    pub below: u64,
}

impl Store {
    /// The oldest version in use, and how many values are below `version`. Costs the same however many there are.
    pub async fn sealed_versions(&self, version: u64) -> Result<SealedVersions, StoreError> {
        self.read(move |connection| {
            let few = COLUMNS[..COUNTED].iter().map(|column| {
                let (table, these, version) = (column.table, column.is_the_vaults(), column.version());
                format!("SELECT min({version}), count(*) FILTER (WHERE {version} < ?1) FROM {table} WHERE {these}")
            });
            let many = "SELECT min(version), ifnull(sum(secrets) FILTER (WHERE version < ?1), 0) FROM sealed_versions
                        WHERE secrets > 0";
            few.chain([many.to_owned()]).try_fold(SealedVersions::default(), |found, query| {
                let (oldest, below): (Option<i64>, i64) = connection
                    .prepare_cached(&query)?
                    .query_row([number(version)], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let oldest = [found.oldest, oldest.map(i64::unsigned_abs)].into_iter().flatten().min();
                Ok(SealedVersions { oldest, below: found.below + below.unsigned_abs() })
            })
        })
        .await
    }

    /// The next values below `version` from a place on, at most `limit`. Most rows may be above it: a look that went
    /// through its share of them ends, and the next goes on.
    pub async fn sealed_below(&self, version: u64, from: SealedPlace, limit: usize) -> Result<SealedPage, StoreError> {
        self.read(move |connection| {
            let mut page = SealedPage { values: Vec::new(), next: Some(from) };
            let mut rows = ROWS;
            while let Some(place) = page.next
                && rows > 0
                && page.values.len() < limit
            {
                let (values, next) = sealed_in(connection, place, version, limit - page.values.len(), rows)?;
                rows -= next.filter(|next| next.column == place.column).map_or(0, |next| next.row - place.row);
                page.values.extend(values);
                page.next = next;
            }
            Ok(page)
        })
        .await
    }

    /// Puts the new value in the place of each that is still there as it was read, all in one commit; returns how many.
    pub async fn replace_sealed(&self, replacements: Vec<(SealedValue, String)>) -> Result<usize, StoreError> {
        self.write(move |connection| {
            let mut replaced = 0;
            for (old, new) in &replacements {
                let Column { table, value, .. } = COLUMNS[old.place.column];
                let update = format!("UPDATE {table} SET {value} = ?1 WHERE rowid = ?2 AND {value} = ?3");
                replaced += connection.prepare_cached(&update)?.execute((new, old.place.row, &old.value))?;
            }
            Ok(replaced)
        })
        .await
    }
}

/// Of one column, and the place after what was looked at; none after the last column.
fn sealed_in(
    connection: &Connection,
    after: SealedPlace,
    version: u64,
    limit: usize,
    rows: i64,
) -> Result<(Vec<SealedValue>, Option<SealedPlace>), StoreError> {
    let column = &COLUMNS[after.column];
    let table = column.table;
    let query = format!(
        "SELECT rowid, {}, {}, {} FROM {table} WHERE rowid > ?1 AND rowid <= ?2 AND {} AND {} < ?3 ORDER BY rowid LIMIT ?4",
        column.wallet,
        column.namespace,
        column.value,
        column.is_the_vaults(),
        column.version(),
    );
    let last: Option<i64> =
        connection.prepare_cached(&format!("SELECT max(rowid) FROM {table}"))?.query_row([], |row| row.get(0))?;
    let until = after.row.saturating_add(rows).min(last.unwrap_or_default());
    let mut query = connection.prepare_cached(&query)?;
    let found = query.query_map((after.row, until, number(version), number(limit as u64)), |row| {
        let place = SealedPlace { column: after.column, row: row.get(0)? };
        Ok(SealedValue { place, sealed_for: sealed_for(place.column, row.get(1)?, row.get(2)?), value: row.get(3)? })
    })?;
    let values = found.collect::<Result<Vec<_>, _>>()?;
    let here = |row| SealedPlace { column: after.column, row };
    let next = match values.last() {
        Some(last) if values.len() == limit => Some(last.place),
        _ if last.is_some_and(|last| until < last) => Some(here(until)),
        _ => Some(SealedPlace { column: after.column + 1, row: 0 }).filter(|next| next.column < COLUMNS.len()),
    };
    Ok((values, next))
}

/// SQLite has no larger numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn sealed_for(column: usize, wallet: String, namespace: String) -> SealedFor {
    match column {
        0..=2 => SealedFor::Identity(column),
        3 => SealedFor::CoolKey { namespace },
        4 => SealedFor::StoreKey,
        5 => SealedFor::Entropy { wallet },
        _ => SealedFor::HotKey { wallet, namespace },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{HotWallet, Ledger, SealedIdentity, SealedKey};

    fn key(public_key: u8, secret: &str) -> SealedKey {
        SealedKey { namespace: "eip155".to_owned(), public_key: vec![public_key], secret: secret.to_owned() }
    }

    async fn store(dir: &tempfile::TempDir) -> Store {
        let store = Store::open(dir.path()).unwrap();
        let seed = |version: u64| format!("vault:v{version}:seed");
        let identity = SealedIdentity { nats_seed: seed(2), message_seed: seed(10), xkey_seed: seed(11) };
        store.keep_identity(identity).await.unwrap();
        store.keep_cool_keys(vec![key(1, "vault:v9:cool")]).await.unwrap();
        for (wallet, entropy, secret) in [
            ("alice", "vault:v3:entropy", "vault:v3:hot"),
            ("bob", "client:v1:entropy", "client:v1:hot"),
            ("carol", "vault:v11:entropy", "vault:v11:hot"),
        ] {
            let (keys, attestation) = (vec![key(wallet.as_bytes()[0], secret)], vec![1]);
            let hot =
                HotWallet { wallet: wallet.to_owned(), entropy: entropy.to_owned(), keys, attestation, verifier: None };
            store.decide(0, move |ledger| ledger.keep_hot(hot)).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn everything_that_the_vault_sealed_is_counted_by_its_version_and_nothing_else() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let empty = Store::open(other.path()).unwrap();
        assert_eq!(empty.sealed_versions(5).await.unwrap(), SealedVersions { oldest: None, below: 0 });
        let store = store(&dir).await;
        for (version, below) in [(2, 0), (3, 1), (9, 3), (10, 4), (11, 5), (12, 8)] {
            let expected = SealedVersions { oldest: Some(2), below };
            assert_eq!(store.sealed_versions(version).await.unwrap(), expected, "{version}");
        }
    }

    #[tokio::test]
    async fn the_store_key_is_counted_and_comes_with_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let made = |ledger: &Ledger<'_>| {
            Ok(ledger.connection.execute("INSERT INTO store_key VALUES (1, 'vault:v1:k')", [])?)
        };
        store.decide(0, made).await.unwrap();
        assert_eq!(store.sealed_versions(2).await.unwrap(), SealedVersions { oldest: Some(1), below: 1 });
        let below = store.sealed_below(2, SealedPlace::default(), 10).await.unwrap().values;
        assert_eq!(below.into_iter().map(|it| it.sealed_for).collect::<Vec<_>>(), [SealedFor::StoreKey]);
    }

    #[tokio::test]
    async fn every_value_comes_once_with_what_its_context_needs() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let (mut next, mut seen) = (Some(SealedPlace::default()), Vec::new());
        while let Some(place) = next {
            let page = store.sealed_below(11, place, 2).await.unwrap();
            assert!(page.values.len() <= 2);
            next = page.next;
            seen.extend(page.values.into_iter().map(|value| (value.sealed_for, value.value)));
        }
        let (alice, eip155) = (|| "alice".to_owned(), || "eip155".to_owned());
        let expected = [
            (SealedFor::Identity(0), "vault:v2:seed"),
            (SealedFor::Identity(1), "vault:v10:seed"),
            (SealedFor::CoolKey { namespace: eip155() }, "vault:v9:cool"),
            (SealedFor::Entropy { wallet: alice() }, "vault:v3:entropy"),
            (SealedFor::HotKey { wallet: alice(), namespace: eip155() }, "vault:v3:hot"),
        ];
        assert_eq!(seen, expected.map(|(sealed_for, value)| (sealed_for, value.to_owned())));
    }

    #[tokio::test]
    async fn only_the_value_that_was_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let read = store.sealed_below(11, SealedPlace::default(), 10).await.unwrap().values;
        let new = |value: &SealedValue| (value.clone(), "vault:v11:new".to_owned());
        assert_eq!(store.replace_sealed(vec![new(&read[4])]).await.unwrap(), 1);
        // The rest goes on beside the one that somebody was quicker with.
        assert_eq!(store.replace_sealed(read.iter().map(new).collect()).await.unwrap(), 4);
        assert_eq!(store.hot_key("alice", "eip155").await.unwrap().unwrap().secret, "vault:v11:new");
        assert_eq!(store.hot_key("bob", "eip155").await.unwrap().unwrap().secret, "client:v1:hot");
        assert_eq!(store.identity().await.unwrap().unwrap().xkey_seed, "vault:v11:seed");
        let versions = SealedVersions { oldest: Some(11), below: 0 };
        assert_eq!(store.sealed_versions(11).await.unwrap(), versions);
    }

    #[tokio::test]
    async fn a_look_ends_after_its_share_of_rows_and_the_next_goes_on_to_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let many = |ledger: &Ledger<'_>| {
            let fill = "INSERT INTO hot (wallet, entropy, attestation)
                        SELECT 'w' || value, 'vault:v11:x', x'01' FROM generated";
            let numbers =
                "WITH RECURSIVE generated(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generated LIMIT ?1)";
            Ok(ledger.connection.execute(&format!("{numbers} {fill}"), [3 * ROWS])?)
        };
        store.decide(0, many).await.unwrap();
        let last = HotWallet {
            wallet: "zoe".to_owned(),
            entropy: "vault:v3:zoe".to_owned(),
            keys: vec![],
            attestation: vec![1],
            verifier: None,
        };
        store.decide(0, move |ledger| ledger.keep_hot(last)).await.unwrap();
        assert_eq!(store.sealed_versions(11).await.unwrap(), SealedVersions { oldest: Some(2), below: 6 });
        let (mut next, mut looks, mut seen) = (Some(SealedPlace::default()), 0, 0);
        while let Some(place) = next {
            let page = store.sealed_below(11, place, 100).await.unwrap();
            (next, looks, seen) = (page.next, looks + 1, seen + page.values.len());
        }
        assert_eq!((looks, seen), (4, 6));
    }

    #[tokio::test]
    async fn a_count_of_versions_follows_every_change_of_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let run = async |sql: &'static str| {
            store.decide(0, move |ledger| Ok(ledger.connection.execute_batch(sql)?)).await.unwrap();
        };
        // From a Vault's to a client's key and back, and away.
        run("UPDATE hot SET entropy = 'client:v1:x' WHERE wallet = 'alice'").await;
        assert_eq!(store.sealed_versions(11).await.unwrap(), SealedVersions { oldest: Some(2), below: 4 });
        run("UPDATE hot_keys SET secret = 'vault:v1:x' WHERE wallet = 'bob'").await;
        assert_eq!(store.sealed_versions(11).await.unwrap(), SealedVersions { oldest: Some(1), below: 5 });
        run("DELETE FROM hot_keys WHERE rowid > 0; DELETE FROM hot WHERE rowid > 0; DELETE FROM identity; DELETE FROM cool_keys")
            .await;
        assert_eq!(store.sealed_versions(11).await.unwrap(), SealedVersions::default());
    }
}
