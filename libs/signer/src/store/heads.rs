//! The newest audit heads of the other signers: what they are shown when they start.

use rusqlite::OptionalExtension;

use super::{Ledger, StoreError, ledger::signed};

/// Another signer's head as it attested it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHead {
    /// How often its admin has accepted a chain that others knew better.
    pub overrides: u64,
    /// Records in its chain.
    pub count: u64,
    /// Encoded `Attestation` of the `AuditHead`.
    pub attestation: Vec<u8>,
}

impl Ledger<'_> {
    /// The newest head of `role` that was kept here.
    pub fn peer_head(&self, role: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT attestation FROM heads WHERE role = ?1";
        Ok(self.connection.query_row(query, [role], |row| row.get(0)).optional()?)
    }

    /// Keeps a head unless a newer one is there.
    pub fn keep_peer_head(&self, role: &str, head: &PeerHead) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO heads (role, overrides, count, attestation) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (role) DO UPDATE
             SET overrides = excluded.overrides, count = excluded.count, attestation = excluded.attestation
             WHERE (excluded.overrides, excluded.count) > (overrides, count)",
            (role, signed(head.overrides)?, signed(head.count)?, &head.attestation),
        )?;
        Ok(())
    }

    /// How often this signer's admin has accepted its chain although others knew a longer one: records of the chain
    /// itself, so that the number can't fall.
    pub fn overrides(&self) -> Result<u64, StoreError> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM overrides", [], |row| row.get(0))?;
        super::ledger::unsigned(count)
    }

    /// Records an override.
    pub fn accept_chain(&self) -> Result<(), StoreError> {
        self.connection.execute("INSERT INTO overrides (at_ms) VALUES (?1)", [signed(self.now_ms())?])?;
        Ok(())
    }

    /// Whether the admin has accepted the chain since `since_ms`.
    pub fn accepted_since(&self, since_ms: u64) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM overrides WHERE at_ms >= ?1)";
        Ok(self.connection.query_row(query, [signed(since_ms)?], |row| row.get(0))?)
    }
}
