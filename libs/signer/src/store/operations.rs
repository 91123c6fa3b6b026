//! Idempotency: what an operation id stands for, and its result.

use rusqlite::{Connection, OptionalExtension};

use super::{error::StoreError, ledger::Ledger, writer::Store};

/// An operation as its sender named it. The digest is SHA-256 of the request's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationKey {
    /// The sender's role.
    pub sender: &'static str,
    /// 16 bytes.
    pub operation_id: Vec<u8>,
    /// Of the request.
    pub digest: [u8; 32],
}

/// What the store knows of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// Nothing, or recorded and not finished: it may be done (again).
    Open,
    /// Its stored result.
    Finished(Vec<u8>),
    /// The id belongs to another request.
    Reused,
}

impl Store {
    /// Keeps the result of an operation that was begun; nobody waits for it, since it can be made again.
    pub fn finish_later(&self, key: OperationKey, result: Vec<u8>) {
        self.leave(move |connection| Ledger::new(connection, 0).finish(&key, &result));
    }
}

impl Ledger<'_> {
    /// What is known of an operation.
    pub fn recall(&self, key: &OperationKey) -> Result<Recall, StoreError> {
        recall(self.connection, key)
    }

    /// Gives the id to this request; false: it has begun before.
    pub fn begin(&self, key: &OperationKey) -> Result<bool, StoreError> {
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO operations (sender, operation_id, digest) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute((key.sender, &key.operation_id, key.digest))?;
        Ok(rows == 1)
    }

    /// Stores a result for good; the first one stays.
    pub fn finish(&self, key: &OperationKey, result: &[u8]) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO operations (sender, operation_id, digest, result) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (sender, operation_id) DO UPDATE SET result = excluded.result
                 WHERE result IS NULL AND digest = excluded.digest",
            )?
            .execute((key.sender, &key.operation_id, key.digest, result))?;
        Ok(())
    }
}

fn recall(connection: &Connection, key: &OperationKey) -> Result<Recall, StoreError> {
    let row: Option<([u8; 32], Option<Vec<u8>>)> = connection
        .prepare_cached("SELECT digest, result FROM operations WHERE sender = ?1 AND operation_id = ?2")?
        .query_row((key.sender, &key.operation_id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        None => Recall::Open,
        Some((digest, _)) if digest != key.digest => Recall::Reused,
        Some((_, None)) => Recall::Open,
        Some((_, Some(result))) => Recall::Finished(result),
    })
}
