//! Evacuation signatures: recorded before they are made, not limited by nonce.

use super::{Store, StoreError};

impl Store {
    /// Records the digests (with chain and wallet address) that are about to be signed. Those already there stay.
    pub async fn record_evacuations(&self, digests: Vec<([u8; 32], String, String)>) -> Result<(), StoreError> {
        self.write(move |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO evacuations (digest, chain, address) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?;
            for (digest, chain, address) in digests {
                insert.execute((digest, chain, address))?;
            }
            Ok(())
        })
        .await
    }

    /// How many digests were signed for evacuations.
    pub async fn evacuations(&self) -> Result<i64, StoreError> {
        self.read(|connection| Ok(connection.query_row("SELECT count(*) FROM evacuations", [], |row| row.get(0))?))
            .await
    }
}
