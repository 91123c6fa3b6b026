//! The table `relays`.

use std::str::FromStr;

use async_trait::async_trait;
use chain::{Claim, Errand, Relayed};
use rusqlite::params;

use super::{Sqlite, row::Named};
use crate::store::{Relays, StoreError};

#[async_trait]
impl Relays for Sqlite {
    async fn relay(&self, errand: Errand, relayed: Relayed) -> Result<(), StoreError> {
        self.write(move |db| {
            let Relayed { tx, raw, claim } = relayed;
            db.execute(
                "INSERT INTO relays (tx, payment, purpose, claim, raw) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (tx) DO UPDATE SET ended = 0",
                params![tx, errand.of, errand.purpose, claim.to_string(), raw],
            )?;
            Ok(())
        })
        .await
    }

    async fn relays_under_way(&self) -> Result<Vec<(Errand, Relayed)>, StoreError> {
        self.read(move |db| {
            let mut statement = db
                .prepare_cached("SELECT tx, payment, purpose, claim, raw FROM relays WHERE ended = 0 ORDER BY rowid")?;
            let mut rows = statement.query([])?;
            let mut under_way = Vec::new();
            while let Some(row) = rows.next()? {
                let row = Named::keyed(row, "relay", "tx")?;
                let claim = row.parse("claim", Claim::from_str)?;
                let errand = Errand { of: row.get("payment")?, purpose: row.get("purpose")? };
                under_way.push((errand, Relayed { tx: row.get("tx")?, raw: row.get("raw")?, claim }));
            }
            Ok(under_way)
        })
        .await
    }

    async fn relays_ended(&self, txs: Vec<String>) -> Result<(), StoreError> {
        self.write(move |db| {
            for tx in txs {
                db.execute("UPDATE relays SET ended = 1 WHERE tx = ?1", [tx])?;
            }
            Ok(())
        })
        .await
    }
}
