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

/// Records that an export holds at once.
const AUDIT_PAGE: u32 = 256;

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
            .prepare_cached("SELECT seq, hash FROM audit WHERE seq = (SELECT max(seq) FROM audit)")?
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
        let query =
            "SELECT (SELECT max(rowid) FROM claims) IS NOT NULL OR (SELECT max(rowid) FROM evacuations) IS NOT NULL";
        Ok(self.connection.query_row(query, [], |row| row.get(0))?)
    }

    /// The custody that the newest record names; empty: none does.
    pub fn named_custody(&self) -> Result<Vec<u8>, StoreError> {
        let query = "SELECT record FROM audit WHERE seq = (SELECT max(seq) FROM audit)";
        let newest: Option<Vec<u8>> = self.connection.query_row(query, [], |row| row.get(0)).optional()?;
        Ok(newest.map(|record| decoded(&record)).transpose()?.map_or_else(Vec::new, |record| record.custody_id))
    }

    /// Writes the export with this header: the records up to its head. They are read page by page, each in a moment of its
    /// own, and written between two of them: however slowly they are taken, nothing waits for it.
    pub fn write_audit(&self, header: &Header, output: &mut impl Write) -> Result<(), Unwritten> {
        let (mut after, mut page) = (0, Vec::new().into_iter());
        let records = std::iter::from_fn(|| {
            if page.as_slice().is_empty() {
                page = match self.audit_page(after, header.head.count) {
                    Ok(records) => records.into_iter(),
                    Err(error) => return Some(Err(error.into())),
                };
            }
            let (seq, record) = page.next()?;
            after = seq;
            Some(decoded(&record).map_err(Unwritten::from))
        });
        audit::write(output, header, records)?;
        output.flush()?;
        Ok(())
    }

    /// The records that follow `after`, up to `last`; none: there is no more.
    fn audit_page(&self, after: i64, last: u64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT seq, record FROM audit WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")?;
        let rows = query.query_map((after, signed(last)?, AUDIT_PAGE), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
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
