//! Idempotency: what an operation id stands for, and its result. The result is pruned after a while (see
//! [`super::prune`]); what came of the operation stays.

use rusqlite::{Connection, OptionalExtension};

use super::{
    error::StoreError,
    ledger::{Ledger, signed},
    writer::Store,
};

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
    /// It was carried out, and its result is pruned: made again, never carried out anew.
    Done,
    /// It was refused for this reason, and its result is pruned.
    Refused(String),
    /// The id belongs to another request.
    Reused,
}

impl Store {
    /// Keeps the result of an operation that was begun; nobody waits for it, since it can be made again.
    pub fn finish_later(&self, now_ms: u64, key: OperationKey, result: Vec<u8>) {
        self.leave(move |connection| Ledger::new(connection, now_ms).finish(&key, &result));
    }
}

impl Ledger<'_> {
    /// What is known of an operation.
    pub fn recall(&self, key: &OperationKey) -> Result<Recall, StoreError> {
        recall(self.connection, key)
    }

    /// Gives the id to this request, whose record is the next that is noted; false: it has begun before.
    pub fn begin(&self, key: &OperationKey) -> Result<bool, StoreError> {
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO operations (sender, operation_id, digest, recorded_at, record)
                 VALUES (?1, ?2, ?3, ?4, (SELECT ifnull(max(number), 0) + 1 FROM records)) ON CONFLICT DO NOTHING",
            )?
            .execute((key.sender, &key.operation_id, key.digest, self.seconds()?))?;
        Ok(rows == 1)
    }

    /// Stores a result; the first one stays, and none takes the place of one that was pruned.
    pub fn finish(&self, key: &OperationKey, result: &[u8]) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO operations (sender, operation_id, digest, result, recorded_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (sender, operation_id) DO UPDATE SET result = excluded.result
                 WHERE result IS NULL AND outcome IS NULL AND digest = excluded.digest",
            )?
            .execute((key.sender, &key.operation_id, key.digest, result, self.seconds()?))?;
        Ok(())
    }

    fn seconds(&self) -> Result<i64, StoreError> {
        signed(self.now_ms() / 1000)
    }
}

/// What the column `outcome` says of an operation that was carried out; else it is the reason of a refusal.
pub(super) const DONE: &str = "Done";

type Kept = ([u8; 32], Option<Vec<u8>>, Option<String>);

fn recall(connection: &Connection, key: &OperationKey) -> Result<Recall, StoreError> {
    let row: Option<Kept> = connection
        .prepare_cached("SELECT digest, result, outcome FROM operations WHERE sender = ?1 AND operation_id = ?2")?
        .query_row((key.sender, &key.operation_id), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(match row {
        None => Recall::Open,
        Some((digest, ..)) if digest != key.digest => Recall::Reused,
        Some((_, Some(result), _)) => Recall::Finished(result),
        Some((_, None, Some(outcome))) if outcome == DONE => Recall::Done,
        Some((_, None, Some(reason))) => Recall::Refused(reason),
        Some((_, None, None)) => Recall::Open,
    })
}
