//! Payments that wait for their time lock, and intents that were used.

use rusqlite::OptionalExtension;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// A payment that waits, or was vetoed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// What `Sign` would sign.
    pub digest: [u8; 32],
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// What it does, for people.
    pub summary: String,
    /// When its time lock began, Unix milliseconds.
    pub at_ms: u64,
    /// Whether the admin has vetoed it.
    pub vetoed: bool,
}

impl Ledger<'_> {
    /// The announcement of a digest.
    pub fn announcement(&self, digest: &[u8; 32]) -> Result<Option<Announcement>, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms FROM announcements WHERE digest = ?1",
            )?
            .query_row([digest], announcement)
            .optional()?;
        row.transpose()
    }

    /// All of them, oldest first.
    pub fn announcements(&self) -> Result<Vec<Announcement>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms FROM announcements ORDER BY at_ms, digest",
        )?;
        query.query_map([], announcement)?.map(|row| row?).collect()
    }

    /// Begins a time lock now; one that has begun goes on. False: it had begun.
    pub fn announce(&self, digest: &[u8; 32], wallet: &str, chain: &str, summary: &str) -> Result<bool, StoreError> {
        let rows = self.connection.execute(
            "INSERT INTO announcements (digest, wallet, chain, summary, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            (digest, wallet, chain, summary, signed(self.now_ms())?),
        )?;
        Ok(rows == 1)
    }

    /// Vetoes what waits; false: nothing with this digest waits.
    pub fn veto(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let rows = self.connection.execute(
            "UPDATE announcements SET vetoed_at_ms = ?2 WHERE digest = ?1 AND vetoed_at_ms IS NULL",
            (digest, signed(self.now_ms())?),
        )?;
        Ok(rows == 1)
    }

    /// Keeps an intent for one digest; false: another transaction has used it.
    pub fn use_intent(&self, id: &[u8; 16], digest: &[u8; 32]) -> Result<bool, StoreError> {
        self.connection
            .execute("INSERT INTO intents (id, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (id, digest))?;
        let used: [u8; 32] =
            self.connection.query_row("SELECT digest FROM intents WHERE id = ?1", [id], |row| row.get(0))?;
        Ok(used == *digest)
    }
}

fn announcement(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Announcement, StoreError>> {
    let (digest, wallet, chain, summary) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let vetoed = row.get::<_, Option<i64>>(5)?.is_some();
    Ok(unsigned(row.get(4)?).map(|at_ms| Announcement { digest, wallet, chain, summary, at_ms, vetoed }))
}
