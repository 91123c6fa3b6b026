//! What no longer serves. A freeze is on disk before it is confirmed, and only the data centre's admin takes it away.

use rusqlite::OptionalExtension;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// A freeze that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Wallet id, or empty: everything.
    pub wallet: String,
    /// Who froze: a role, or `admin`.
    pub requester: String,
    /// For people.
    pub reason: String,
    /// Unix milliseconds.
    pub at_ms: u64,
}

impl Ledger<'_> {
    /// The freeze of everything or, else, of this wallet.
    pub fn frozen(&self, wallet: &str) -> Result<Option<Frozen>, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT wallet, requester, reason, at_ms FROM freezes WHERE wallet IN ('', ?1) ORDER BY wallet LIMIT 1",
            )?
            .query_row([wallet], frozen)
            .optional()?;
        row.transpose()
    }

    /// All that is frozen, everything first.
    pub fn freezes(&self) -> Result<Vec<Frozen>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT wallet, requester, reason, at_ms FROM freezes ORDER BY wallet")?;
        query.query_map([], frozen)?.map(|row| row?).collect()
    }

    /// Freezes a wallet, or everything with an empty one; false: it was frozen already, and stays as it was.
    pub fn freeze(&self, wallet: &str, requester: &str, reason: &str) -> Result<bool, StoreError> {
        let at_ms = signed(self.now_ms())?;
        let rows = self.connection.execute(
            "INSERT INTO freezes (wallet, requester, reason, at_ms, unregistered)
             VALUES (?1, ?2, ?3, ?4, ?1 <> '' AND NOT EXISTS (SELECT 1 FROM wallets WHERE wallet = ?1))
             ON CONFLICT DO NOTHING",
            (wallet, requester, reason, at_ms),
        )?;
        Ok(rows == 1)
    }

    /// Takes a freeze away; false: there was none.
    pub fn thaw(&self, wallet: &str) -> Result<bool, StoreError> {
        Ok(self.connection.execute("DELETE FROM freezes WHERE wallet = ?1", [wallet])? == 1)
    }
}

fn frozen(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Frozen, StoreError>> {
    let (wallet, requester, reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(unsigned(row.get(3)?).map(|at_ms| Frozen { wallet, requester, reason, at_ms }))
}
