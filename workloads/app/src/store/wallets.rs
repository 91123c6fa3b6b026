//! Wallets: asked for, then attested by both signers.

use rusqlite::{OptionalExtension, Row, params};
use zeroize::Zeroizing;

use super::{Store, StoreError};
use crate::client_key::{CLIENT_KEY_BYTES, ClientKey};

/// A wallet that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wallet {
    pub(crate) id: String,
    pub(crate) operation_seed: [u8; 16],
    /// Absent until both signers durably hold the wallet: before that, no address is given out.
    pub(crate) attested: Option<Attested>,
}

/// What both signers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attested {
    /// 33-byte SEC1.
    pub(crate) hot_key: Vec<u8>,
    pub(crate) address: String,
    /// Keeper's attestation of the wallet record, protobuf.
    pub(crate) keeper: Vec<u8>,
    /// Cooler's, of its own record.
    pub(crate) cooler: Vec<u8>,
}

impl Store {
    /// The wallet of this id, made with `seed` if nobody asked for it before. It keeps the first client key that it is
    /// given before it is attested.
    pub(crate) async fn ask_for_wallet(
        &self,
        id: String,
        seed: [u8; 16],
        client_key: Option<ClientKey>,
    ) -> Result<Wallet, StoreError> {
        self.run(move |db| {
            let commit = db.transaction()?;
            commit.execute("INSERT OR IGNORE INTO wallets (id, operation_seed) VALUES (?1, ?2)", params![id, seed])?;
            if let Some(client_key) = client_key {
                commit.execute(
                    "UPDATE wallets SET client_key = ?2 WHERE id = ?1 AND client_key IS NULL AND address IS NULL",
                    params![id, client_key.as_bytes()],
                )?;
            }
            let wallet = commit.query_row(SELECT, [&id], read)?;
            commit.commit()?;
            Ok(wallet)
        })
        .await
    }

    /// The client key of this wallet, if it has one.
    pub(crate) async fn client_key(&self, id: String) -> Result<Option<ClientKey>, StoreError> {
        self.run(move |db| {
            let key = db.query_row("SELECT client_key FROM wallets WHERE id = ?1", [&id], |row| {
                Ok(row.get::<_, Option<[u8; CLIENT_KEY_BYTES]>>(0)?.map(Zeroizing::new))
            });
            Ok(key.optional()?.flatten().map(ClientKey::new))
        })
        .await
    }

    /// The wallet of this id, if anybody asked for it.
    pub(crate) async fn wallet(&self, id: String) -> Result<Option<Wallet>, StoreError> {
        self.run(move |db| Ok(db.query_row(SELECT, [&id], read).optional()?)).await
    }

    /// Gives a wallet that is not attested other operation ids.
    pub(crate) async fn renew_wallet(&self, id: String, seed: [u8; 16]) -> Result<(), StoreError> {
        self.run(move |db| {
            db.execute("UPDATE wallets SET operation_seed = ?2 WHERE id = ?1 AND address IS NULL", params![id, seed])?;
            Ok(())
        })
        .await
    }

    /// Records what both signers attested. The first record stays.
    pub(crate) async fn attest_wallet(&self, id: String, attested: Attested) -> Result<(), StoreError> {
        self.run(move |db| {
            let Attested { hot_key, address, keeper, cooler } = attested;
            db.execute(
                "UPDATE wallets SET hot_key = ?2, address = ?3, keeper_attestation = ?4, cooler_attestation = ?5
                 WHERE id = ?1 AND address IS NULL",
                params![id, hot_key, address, keeper, cooler],
            )?;
            Ok(())
        })
        .await
    }
}

const SELECT: &str = "SELECT id, operation_seed, hot_key, address, keeper_attestation, cooler_attestation
                      FROM wallets WHERE id = ?1";

fn read(row: &Row<'_>) -> rusqlite::Result<Wallet> {
    let attested = match row.get("address")? {
        None => None,
        Some(address) => Some(Attested {
            hot_key: row.get("hot_key")?,
            address,
            keeper: row.get("keeper_attestation")?,
            cooler: row.get("cooler_attestation")?,
        }),
    };
    Ok(Wallet { id: row.get("id")?, operation_seed: row.get("operation_seed")?, attested })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn operation_seed_and_attestations_of_a_wallet_never_change() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.wallet("alice".into()).await.unwrap(), None);
        let asked = store.ask_for_wallet("alice".into(), [1; 16], None).await.unwrap();
        assert_eq!(store.ask_for_wallet("alice".into(), [2; 16], None).await.unwrap(), asked);

        let attested =
            Attested { hot_key: vec![2; 33], address: "0x1".into(), keeper: b"k".to_vec(), cooler: b"c".to_vec() };
        store.attest_wallet("alice".into(), attested.clone()).await.unwrap();
        store.renew_wallet("alice".into(), [3; 16]).await.unwrap();
        let other = Attested { address: "0x2".into(), ..attested.clone() };
        store.attest_wallet("alice".into(), other).await.unwrap();
        let stored = store.wallet("alice".into()).await.unwrap().unwrap();
        assert_eq!(stored, Wallet { attested: Some(attested), ..asked });
    }

    #[tokio::test]
    async fn a_wallet_keeps_its_first_client_key_and_an_attested_wallet_gets_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = |byte| ClientKey::new(Zeroizing::new([byte; CLIENT_KEY_BYTES]));
        let stored = async |id: &str| store.client_key(id.into()).await.unwrap().map(|key| key.to_vec());
        let ask = async |id: &str, key| store.ask_for_wallet(id.into(), [1; 16], key).await.unwrap();
        ask("alice", None).await;
        assert_eq!(stored("alice").await, None);
        ask("alice", Some(key(1))).await;
        ask("alice", Some(key(2))).await;
        ask("alice", None).await;
        assert_eq!(stored("alice").await, Some(vec![1; 32]));

        ask("bob", None).await;
        let attested = Attested { hot_key: vec![], address: "0x1".into(), keeper: vec![], cooler: vec![] };
        store.attest_wallet("bob".into(), attested).await.unwrap();
        ask("bob", Some(key(3))).await;
        assert_eq!((stored("bob").await, stored("nobody").await), (None, None));
    }
}
