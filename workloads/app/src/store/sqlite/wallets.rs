//! The table `wallets`.

use std::sync::Arc;

use async_trait::async_trait;
use chain::ChainRules;
use custody::WalletId;
use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{
    Db, Sqlite, lists,
    wallet_row::{COLUMNS, wallet},
};
use crate::{
    domain::{Attested, CLIENT_KEY_BYTES, ClientKey, Page, Seed, Wallet, WalletFilter},
    store::{StoreError, Wallets, rows::Rows},
};

#[async_trait]
impl Wallets for Sqlite {
    async fn ask_for_wallet(
        &self,
        id: &WalletId,
        seed: Seed,
        client_key: Option<ClientKey>,
    ) -> Result<Wallet, StoreError> {
        let (id, rules): (_, Arc<dyn ChainRules>) = (id.clone(), self.rules.clone());
        self.write(move |db| {
            let new = params![id.as_str(), seed.0];
            db.execute(
                "INSERT OR IGNORE INTO wallets (id, operation_seed, sequence)
                 VALUES (?1, ?2, (SELECT coalesce(max(sequence), 0) + 1 FROM wallets))",
                new,
            )?;
            if let Some(client_key) = client_key {
                db.execute(
                    "UPDATE wallets SET client_key = ?2 WHERE id = ?1 AND client_key IS NULL AND address IS NULL",
                    params![id.as_str(), client_key.as_bytes()],
                )?;
            }
            let wallet = read(db, &*rules, &id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok(wallet)
        })
        .await
    }

    async fn wallet(&self, id: &WalletId) -> Result<Option<Wallet>, StoreError> {
        let (id, rules) = (id.clone(), self.rules.clone());
        self.read(move |db| read(db, &*rules, &id)).await
    }

    async fn wallets(&self, filter: WalletFilter, page: Page) -> Result<Rows<Wallet>, StoreError> {
        let rules = self.rules.clone();
        self.read(move |db| lists::wallets(db, &*rules, &filter, &page)).await
    }

    async fn client_key(&self, id: &WalletId) -> Result<Option<ClientKey>, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let key = db.query_row("SELECT client_key FROM wallets WHERE id = ?1", [id.as_str()], |row| {
                Ok(row.get::<_, Option<[u8; CLIENT_KEY_BYTES]>>(0)?.map(Zeroizing::new))
            });
            Ok(key.optional()?.flatten().map(ClientKey::new))
        })
        .await
    }

    async fn renew_wallet(&self, id: &WalletId, seed: Seed) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |db| {
            let renewed = params![id.as_str(), seed.0];
            db.execute("UPDATE wallets SET operation_seed = ?2 WHERE id = ?1 AND address IS NULL", renewed)?;
            Ok(())
        })
        .await
    }

    async fn attest_wallet(&self, id: &WalletId, attested: Attested) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |db| {
            let Attested { hot_key, address, keeper, cooler } = attested;
            db.execute(
                "UPDATE wallets SET hot_key = ?2, address = ?3, keeper_attestation = ?4, cooler_attestation = ?5
                 WHERE id = ?1 AND address IS NULL",
                params![id.as_str(), hot_key, address.as_str(), keeper, cooler],
            )?;
            Ok(())
        })
        .await
    }
}

fn read(db: Db<'_>, rules: &dyn ChainRules, id: &WalletId) -> Result<Option<Wallet>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM wallets WHERE id = ?1"))?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(|row| wallet(row, rules)).transpose()
}
