//! The tally: of each authenticated table the number of its rows and the sum of what the store key says of each, and the
//! audit chain's end in the same commit. It is sealed: from the sums of many volumes, somebody could compute rows that
//! leave a sum as it is.

use std::collections::BTreeMap;

use audit::Head;
use prost::Message;
use rusqlite::{Connection, OptionalExtension};

use super::{key::StoreKey, sum::Sum};
use crate::store::StoreError;

/// Rows of a table.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: i64,
    pub(super) sum: Sum,
}

impl Rows {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { count: self.count.wrapping_add(other.count), sum: self.sum.plus(other.sum) }
    }
}

/// As of a commit.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) head: Head,
    /// By the table's name; one that is missing has no rows.
    pub(super) tables: BTreeMap<String, Rows>,
}

#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    head_count: u64,
    #[prost(bytes = "vec", tag = "3")]
    head_hash: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    tables: Vec<EncodedTable>,
}

#[derive(Clone, PartialEq, Message)]
struct EncodedTable {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    count: i64,
    #[prost(bytes = "vec", tag = "3")]
    sum: Vec<u8>,
}

const VERSION: u32 = 1;

impl Tally {
    /// The one that is kept; none: the rows are not authenticated.
    pub(super) fn kept(connection: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
        let mut query = connection.prepare_cached("SELECT sealed FROM tally")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?)
    }

    pub(super) fn keep(connection: &Connection, sealed: &[u8]) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO tally (id, sealed) VALUES (1, ?1) ON CONFLICT DO UPDATE SET sealed = excluded.sealed",
            )?
            .execute([sealed])?;
        Ok(())
    }

    pub(super) fn seal(&self, key: &StoreKey) -> Vec<u8> {
        let tables = self.tables.iter();
        let tables = tables.map(|(name, Rows { count, sum })| EncodedTable {
            name: name.clone(),
            count: *count,
            sum: sum.to_bytes().to_vec(),
        });
        let (head_count, head_hash) = (self.head.count, self.head.hash.to_vec());
        key.seal(&Encoded { version: VERSION, head_count, head_hash, tables: tables.collect() }.encode_to_vec())
    }

    pub(super) fn open(key: &StoreKey, sealed: &[u8]) -> Result<Self, StoreError> {
        let plain = key.open(sealed).ok_or_else(|| tampered("its tally was not sealed by its store key"))?;
        let decoded = Encoded::decode(plain.as_slice()).ok().filter(|encoded| encoded.version == VERSION);
        let unknown = || StoreError::Failed("the tally is of another build; run that one again".to_owned());
        let Encoded { version: _, head_count, head_hash, tables } = decoded.ok_or_else(unknown)?;
        let hash = head_hash.try_into().map_err(|_| unknown())?;
        let rows = |EncodedTable { name, count, sum }| Some((name, Rows { count, sum: Sum::from_bytes(&sum)? }));
        let tables = tables.into_iter().map(rows).collect::<Option<_>>().ok_or_else(unknown)?;
        Ok(Self { head: Head { count: head_count, hash }, tables })
    }
}

/// Someone else than this signer has written to the volume.
pub(super) fn tampered(what: impl Into<String>) -> StoreError {
    StoreError::Tampered(what.into())
}
