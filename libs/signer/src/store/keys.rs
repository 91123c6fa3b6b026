//! The signer's own keys and Cooler's key, sealed; nothing here opens them.

use rusqlite::{Connection, OptionalExtension};

use super::{error::StoreError, ledger::Ledger, writer::Store};

/// Seeds of the signer's own keys, each sealed for its purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedIdentity {
    /// NATS user NKey.
    pub nats_seed: String,
    /// ed25519 message key.
    pub message_seed: String,
    /// XKey.
    pub xkey_seed: String,
}

/// A sealed 32-byte secret key with its public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// CAIP-2 namespace.
    pub namespace: String,
    /// In the chain's encoding.
    pub public_key: Vec<u8>,
    /// `vault:vN:...`.
    pub secret: String,
}

impl Store {
    /// The signer's keys, once they are made.
    pub async fn identity(&self) -> Result<Option<SealedIdentity>, StoreError> {
        self.read(identity).await
    }

    /// Keeps the keys unless some are there; returns those that stay.
    pub async fn keep_identity(&self, made: SealedIdentity) -> Result<SealedIdentity, StoreError> {
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO identity (id, nats_seed, message_seed, xkey_seed) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                (&made.nats_seed, &made.message_seed, &made.xkey_seed),
            )?;
            Ok(identity(connection)?.unwrap_or(made))
        })
        .await
    }

    /// Cooler's keys, by namespace; empty until the phrase is imported.
    pub async fn cool_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT namespace, public_key, secret FROM cool_keys")?;
            let rows = query.query_map([], sealed_key)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Keeps Cooler's keys, all or none; one that is there already stays. False: another key is there for a namespace,
    /// and nothing was written.
    pub async fn keep_cool_keys(&self, keys: Vec<SealedKey>) -> Result<bool, StoreError> {
        self.write(move |connection| {
            for key in &keys {
                let present: Option<Vec<u8>> = connection
                    .query_row("SELECT public_key FROM cool_keys WHERE namespace = ?1", [&key.namespace], |row| {
                        row.get(0)
                    })
                    .optional()?;
                if present.is_some_and(|present| present != key.public_key) {
                    return Ok(false);
                }
            }
            for key in keys {
                connection.execute(
                    "INSERT INTO cool_keys (namespace, public_key, secret) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    (key.namespace, key.public_key, key.secret),
                )?;
            }
            Ok(true)
        })
        .await
    }
}

impl Ledger<'_> {
    /// Cooler's key for a family of chains.
    pub fn cool_key(&self, namespace: &str) -> Result<Option<SealedKey>, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT namespace, public_key, secret FROM cool_keys WHERE namespace = ?1")?
            .query_row([namespace], sealed_key);
        Ok(row.optional()?)
    }
}

fn identity(connection: &Connection) -> Result<Option<SealedIdentity>, StoreError> {
    let query = "SELECT nats_seed, message_seed, xkey_seed FROM identity";
    let row = connection.query_row(query, [], |row| {
        Ok(SealedIdentity { nats_seed: row.get(0)?, message_seed: row.get(1)?, xkey_seed: row.get(2)? })
    });
    Ok(row.optional()?)
}

pub(super) fn sealed_key(row: &rusqlite::Row<'_>) -> rusqlite::Result<SealedKey> {
    Ok(SealedKey { namespace: row.get(0)?, public_key: row.get(1)?, secret: row.get(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(public_key: u8) -> SealedKey {
        SealedKey { namespace: "eip155".to_owned(), public_key: vec![public_key], secret: "vault:v1:x".to_owned() }
    }

    #[tokio::test]
    async fn an_identity_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let made = |seed: &str| SealedIdentity {
            nats_seed: seed.to_owned(),
            message_seed: seed.to_owned(),
            xkey_seed: seed.to_owned(),
        };
        assert_eq!(store.identity().await.unwrap(), None);
        assert_eq!(store.keep_identity(made("first")).await.unwrap(), made("first"));
        assert_eq!(store.keep_identity(made("second")).await.unwrap(), made("first"));
    }

    #[tokio::test]
    async fn a_cool_key_is_never_overwritten_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.keep_cool_keys(vec![key(1)]).await.unwrap());
        assert!(store.keep_cool_keys(vec![key(1)]).await.unwrap());
        assert!(!store.keep_cool_keys(vec![key(2)]).await.unwrap());
        assert_eq!(store.cool_keys().await.unwrap(), [key(1)]);
        assert_eq!(store.look(0, |ledger| ledger.cool_key("solana")).await.unwrap(), None);
    }
}
