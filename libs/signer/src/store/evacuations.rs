//! Evacuation signatures: recorded before they are made, not limited by nonce.

use super::{error::StoreError, ledger::Ledger, writer::Store};

impl Ledger<'_> {
    /// Records a digest that is about to be signed; false: it is there already.
    pub fn record_evacuation(&self, digest: &[u8; 32], chain: &str, address: &str) -> Result<bool, StoreError> {
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO evacuations (digest, chain, address) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute((digest, chain, address))?;
        Ok(rows == 1)
    }
}

impl Store {
    /// How many digests were signed for evacuations.
    pub async fn evacuations(&self) -> Result<i64, StoreError> {
        self.read(|connection| Ok(connection.query_row("SELECT count(*) FROM evacuations", [], |row| row.get(0))?))
            .await
    }
}
