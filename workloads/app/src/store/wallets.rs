//! Wallets: asked for, then attested by both signers.

use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};

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
    /// The wallet of this id, made with `seed` if nobody asked for it before.
    pub(crate) async fn ask_for_wallet(&self, id: String, seed: [u8; 16]) -> Result<Wallet, StoreError> {
        self.run(move |db| {
            db.execute("INSERT OR IGNORE INTO wallets (id, operation_seed) VALUES (?1, ?2)", params![id, seed])?;
            Ok(db.query_row(SELECT, [&id], read)?)
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
        let asked = store.ask_for_wallet("alice".into(), [1; 16]).await.unwrap();
        assert_eq!(store.ask_for_wallet("alice".into(), [2; 16]).await.unwrap(), asked);

        let attested =
            Attested { hot_key: vec![2; 33], address: "0x1".into(), keeper: b"k".to_vec(), cooler: b"c".to_vec() };
        store.attest_wallet("alice".into(), attested.clone()).await.unwrap();
        store.renew_wallet("alice".into(), [3; 16]).await.unwrap();
        let other = Attested { address: "0x2".into(), ..attested.clone() };
        store.attest_wallet("alice".into(), other).await.unwrap();
        let stored = store.wallet("alice".into()).await.unwrap().unwrap();
        assert_eq!(stored, Wallet { attested: Some(attested), ..asked });
    }
}
