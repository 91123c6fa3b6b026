//! The audit chain on disk. A record is written in the transaction of what it records, so that neither is there without
//! the other.

use std::io::{self, Write};

use audit::{Entry, Head, Header, Record};
use prost::Message;
use rusqlite::OptionalExtension;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

impl Ledger<'_> {
    /// Appends a record; the head is then that record's.
    pub fn append(&self, entry: Entry) -> Result<Head, StoreError> {
        self.append_after(&self.head()?, entry)
    }

    /// The same where the chain's end is known: of many records, each follows the one before.
    pub(super) fn append_after(&self, end: &Head, entry: Entry) -> Result<Head, StoreError> {
        let (record, head) = audit::next(end, entry);
        self.connection.prepare_cached("INSERT INTO audit (seq, hash, record) VALUES (?1, ?2, ?3)")?.execute((
            signed(head.count)?,
            head.hash,
            record.encode_to_vec(),
        ))?;
        Ok(head)
    }

    /// The chain's end.
    pub fn head(&self) -> Result<Head, StoreError> {
        let row: Option<(i64, [u8; 32])> = self
            .connection
            .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map_or(Ok(Head::EMPTY), |(seq, hash)| Ok(Head { count: unsigned(seq)?, hash }))
    }

    /// Whether this was once the chain's end.
    pub fn knows(&self, head: &Head) -> Result<bool, StoreError> {
        if *head == Head::EMPTY {
            return Ok(true);
        }
        let hash: Option<[u8; 32]> = self
            .connection
            .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
            .query_row([signed(head.count)?], |row| row.get(0))
            .optional()?;
        Ok(hash == Some(head.hash))
    }

    /// Whether anything was ever signed here.
    pub fn has_signed(&self) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM claims) OR EXISTS (SELECT 1 FROM evacuations)";
        Ok(self.connection.query_row(query, [], |row| row.get(0))?)
    }

    /// The custody that the newest record names; empty: none does.
    pub fn named_custody(&self) -> Result<Vec<u8>, StoreError> {
        let query = "SELECT record FROM audit ORDER BY seq DESC LIMIT 1";
        let newest: Option<Vec<u8>> = self.connection.query_row(query, [], |row| row.get(0)).optional()?;
        Ok(newest.map(|record| decoded(&record)).transpose()?.map_or_else(Vec::new, |record| record.custody_id))
    }

    /// Writes the export with this header: the records up to its head, one at a time.
    pub fn write_audit(&self, header: &Header, output: &mut impl Write) -> Result<(), Unwritten> {
        let mut query = self
            .connection
            .prepare("SELECT record FROM audit WHERE seq <= ?1 ORDER BY seq")
            .map_err(StoreError::from)?;
        let head = signed(header.head.count)?;
        let rows = query.query_map([head], |row| row.get::<_, Vec<u8>>(0)).map_err(StoreError::from)?;
        let records = rows.map(|row| -> Result<Record, Unwritten> { Ok(decoded(&row.map_err(StoreError::from)?)?) });
        audit::write(output, header, records)?;
        output.flush()?;
        Ok(())
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody took it.
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn decoded(record: &[u8]) -> Result<Record, StoreError> {
    Record::decode(record).map_err(|error| StoreError::Failed(format!("an audit record is not readable ({error})")))
}
