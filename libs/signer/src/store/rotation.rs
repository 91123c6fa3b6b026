//! What the Vault sealed, wherever it is stored, for rewrapping it by a newer version of the key. Values that something
//! else sealed are not the Vault's and are passed over.

use rusqlite::Connection;

use super::{error::StoreError, writer::Store};

/// The columns with sealed values, in the order in which they are rewrapped.
const COLUMNS: [Column; 6] = [
    Column { table: "identity", value: "nats_seed", wallet: "''", namespace: "''" },
    Column { table: "identity", value: "message_seed", wallet: "''", namespace: "''" },
    Column { table: "identity", value: "xkey_seed", wallet: "''", namespace: "''" },
    Column { table: "cool_keys", value: "secret", wallet: "''", namespace: "namespace" },
    Column { table: "hot", value: "entropy", wallet: "wallet", namespace: "''" },
    Column { table: "hot_keys", value: "secret", wallet: "wallet", namespace: "namespace" },
];

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

/// How old the sealed values are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedVersions {
    /// Lowest version of the key that a value needs; none where nothing is sealed.
    pub oldest: Option<u64>,
    /// Values below the version asked about.
    pub below: u64,
}

impl Store {
    /// The oldest version in use, and how many values are below `version`.
    pub async fn sealed_versions(&self, version: u64) -> Result<SealedVersions, StoreError> {
        self.read(move |connection| {
            COLUMNS.iter().try_fold(SealedVersions::default(), |found, column| {
                let query = format!(
                    "SELECT min({number}), count(*) FILTER (WHERE {number} < ?1) FROM {} WHERE {}",
                    column.table,
                    column.is_the_vaults(),
                    number = column.version(),
                );
                let (oldest, below): (Option<i64>, i64) =
                    connection.query_row(&query, [number(version)], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let oldest = [found.oldest, oldest.map(i64::unsigned_abs)].into_iter().flatten().min();
                Ok(SealedVersions { oldest, below: found.below + below.unsigned_abs() })
            })
        })
        .await
    }

    /// The next values below `version` after a place, at most `limit`.
    pub async fn sealed_below(
        &self,
        version: u64,
        after: SealedPlace,
        limit: usize,
    ) -> Result<Vec<SealedValue>, StoreError> {
        self.read(move |connection| {
            let mut values = Vec::new();
            for column in after.column..COLUMNS.len() {
                let row = if column == after.column { after.row } else { 0 };
                let room = limit - values.len();
                values.extend(sealed_in(connection, SealedPlace { column, row }, version, room)?);
            }
            Ok(values)
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

fn sealed_in(
    connection: &Connection,
    after: SealedPlace,
    version: u64,
    limit: usize,
) -> Result<Vec<SealedValue>, StoreError> {
    let column = &COLUMNS[after.column];
    let query = format!(
        "SELECT rowid, {}, {}, {} FROM {} WHERE rowid > ?1 AND {} AND {} < ?2 ORDER BY rowid LIMIT ?3",
        column.wallet,
        column.namespace,
        column.value,
        column.table,
        column.is_the_vaults(),
        column.version(),
    );
    let mut query = connection.prepare_cached(&query)?;
    let rows = query.query_map((after.row, number(version), number(limit as u64)), |row| {
        let place = SealedPlace { column: after.column, row: row.get(0)? };
        Ok(SealedValue { place, sealed_for: sealed_for(place.column, row.get(1)?, row.get(2)?), value: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// SQLite has no larger numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn sealed_for(column: usize, wallet: String, namespace: String) -> SealedFor {
    match column {
        0..=2 => SealedFor::Identity(column),
        3 => SealedFor::CoolKey { namespace },
        4 => SealedFor::Entropy { wallet },
        _ => SealedFor::HotKey { wallet, namespace },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{HotWallet, SealedIdentity, SealedKey};

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
    async fn every_value_comes_once_with_what_its_context_needs() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let (mut after, mut seen) = (SealedPlace::default(), Vec::new());
        loop {
            let batch = store.sealed_below(11, after, 2).await.unwrap();
            let Some(last) = batch.last() else { break };
            assert!(batch.len() <= 2);
            after = last.place;
            seen.extend(batch.into_iter().map(|value| (value.sealed_for, value.value)));
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
        let read = store.sealed_below(11, SealedPlace::default(), 10).await.unwrap();
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
}
