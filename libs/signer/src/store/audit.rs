//! The audit chain on disk. A record is written in the transaction of what it records, so that neither is there without
//! the other.

use audit::{Entry, Head, Record};
use prost::Message;
use rusqlite::{Connection, OptionalExtension};

use super::{
    Ledger, Store, StoreError,
    ledger::{signed, unsigned},
};

impl Ledger<'_> {
    /// Appends a record; the head is then that record's.
    pub fn append(&self, entry: Entry) -> Result<Head, StoreError> {
        let (record, head) = audit::next(&self.head()?, entry);
        self.connection
            .prepare_cached("INSERT INTO audit (seq, hash, record) VALUES (?1, ?2, ?3)")?
            .execute((signed(head.count)?, head.hash, record.encode_to_vec()))?;
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
        let query = "SELECT EXISTS (SELECT 1 FROM watermarks) OR EXISTS (SELECT 1 FROM evacuations)";
        Ok(self.connection.query_row(query, [], |row| row.get(0))?)
    }
}

impl Store {
    /// All records, oldest first, with the hashes that are beside them.
    pub async fn audit_records(&self) -> Result<Vec<(Record, [u8; 32])>, StoreError> {
        self.read(records).await
    }
}

fn records(connection: &Connection) -> Result<Vec<(Record, [u8; 32])>, StoreError> {
    let mut query = connection.prepare("SELECT record, hash FROM audit ORDER BY seq")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (record, hash) = row?;
        let unreadable = |error| StoreError::Failed(format!("an audit record is not readable ({error})"));
        Ok((Record::decode(record.as_slice()).map_err(unreadable)?, hash))
    })
    .collect()
}
