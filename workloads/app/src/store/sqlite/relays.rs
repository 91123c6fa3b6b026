//! The table `relays`.

use std::str::FromStr;

use async_trait::async_trait;
use chain::{Claim, Relayed};
use rusqlite::params;

use super::{Sqlite, row::Named};
use crate::{
    domain::{PaymentId, RelayPurpose},
    store::{Relays, StoreError},
};

#[async_trait]
impl Relays for Sqlite {
    async fn relay(&self, payment: PaymentId, purpose: RelayPurpose, relayed: Relayed) -> Result<(), StoreError> {
        self.write(move |db| {
            let Relayed { tx, raw, claim } = relayed;
            db.execute(
                "INSERT INTO relays (tx, payment, purpose, claim, raw) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (tx) DO UPDATE SET ended = 0",
                params![tx, payment.to_string(), purpose.as_str(), claim.to_string(), raw],
            )?;
            Ok(())
        })
        .await
    }

    async fn relayed(&self, payment: PaymentId, purpose: RelayPurpose) -> Result<Option<Relayed>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT tx, claim, raw FROM relays WHERE payment = ?1 AND purpose = ?2 AND ended = 0
                 ORDER BY rowid DESC LIMIT 1",
            )?;
            let mut rows = statement.query([&payment.to_string(), purpose.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let row = Named::keyed(row, "relay", "tx")?;
            let claim = row.parse("claim", Claim::from_str)?;
            Ok(Some(Relayed { tx: row.get("tx")?, raw: row.get("raw")?, claim }))
        })
        .await
    }

    async fn relay_ended(&self, tx: &str) -> Result<(), StoreError> {
        let tx = tx.to_owned();
        self.write(move |db| {
            db.execute("UPDATE relays SET ended = 1 WHERE tx = ?1", [tx])?;
            Ok(())
        })
        .await
    }
}
