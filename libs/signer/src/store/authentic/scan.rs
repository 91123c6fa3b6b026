//! All rows against the tally.

use std::collections::BTreeMap;

use audit::Record;
use prost::Message;
use rusqlite::Connection;

use super::{
    key::StoreKey,
    tables::{AUTHENTICATED, Table},
    tally::{Rows, Tally, tampered},
    triggers,
};
use crate::store::{
    Ledger, StoreError,
    ledger::{signed, unsigned},
    schema,
};

/// The operation of the record that is made with the key: a chain that has it is never without a tally.
pub const STORE_KEY_MADE: &str = "StoreKeyMade";
/// The one operation that needs no key.
const FREEZE: &str = "Freeze";

/// What the tables have.
pub(super) fn tables(connection: &Connection, key: &StoreKey) -> Result<BTreeMap<String, Rows>, StoreError> {
    AUTHENTICATED.iter().map(|table| Ok((table.name.to_owned(), rows(connection, key, table)?))).collect()
}

fn rows(connection: &Connection, key: &StoreKey, table: &Table) -> Result<Rows, StoreError> {
    let names = triggers::columns(connection, table)?;
    let counted = table.counted(table.name).map_or(String::new(), |counted| format!("WHERE {counted}"));
    let list = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    // By the row, and by no index.
    let mut query = connection.prepare(&format!("SELECT {list} FROM {} NOT INDEXED {counted}", table.name))?;
    let (mut found, mut rows) = (Rows::default(), query.query([])?);
    while let Some(row) = rows.next()? {
        let values = names.iter().enumerate().map(|(at, name)| Ok((name.as_str(), row.get_ref(at)?)));
        let values = values.collect::<Result<Vec<_>, rusqlite::Error>>()?;
        found = found.plus(Rows { count: 1, sum: key.row(table.name, values.into_iter()) });
    }
    Ok(found)
}

/// That nobody but holders of the key has written to the file, seen in one snapshot of it.
pub(super) fn compare(connection: &Connection, key: &StoreKey) -> Result<(), StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let sealed = Tally::kept(&snapshot)?.ok_or_else(|| tampered("its tally is missing"))?;
    let tally = Tally::open(key, &sealed)?;
    of_this_chain(&snapshot, &tally)?;
    well_formed(&snapshot)?;
    for table in AUTHENTICATED {
        let expected = tally.tables.get(table.name).copied().unwrap_or_default();
        let found = rows(&snapshot, key, table)?;
        if found != expected {
            return Err(tampered(format!(
                "the rows of its table {} are not those that this signer wrote ({} are there, {} were)",
                table.name, found.count, expected.count
            )));
        }
    }
    Ok(())
}

/// What could make the same rows mean something else: triggers, views, other rules; an index without a row of its table.
pub(super) fn well_formed(connection: &Connection) -> Result<(), StoreError> {
    if schema::shape(connection)? != schema::expected()? {
        return Err(tampered("its tables have another form than this build gives them"));
    }
    for Table { name, .. } in AUTHENTICATED {
        let mut query = connection.prepare("SELECT integrity_check FROM pragma_integrity_check(?1) LIMIT 1")?;
        let found: String = query.query_row([name], |row| row.get(0))?;
        if found != "ok" {
            return Err(tampered(format!("its table {name} and what it is sought by disagree ({found})")));
        }
    }
    Ok(())
}

/// That the tally is of the chain's end. After it there may only be freezes that the admin made without the key, and
/// each of them is in force: its row is the only thing that such a commit has changed.
pub(super) fn of_this_chain(connection: &Connection, tally: &Tally) -> Result<(), StoreError> {
    let ledger = Ledger::new(connection, 0);
    let at = tally.head.count;
    if !ledger.knows(&tally.head)? {
        return Err(tampered(format!("its audit chain is not the one of its tally, which was made at record {at}")));
    }
    let mut query = connection.prepare_cached("SELECT seq, record FROM audit WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = query.query([signed(at)?])?;
    while let Some(row) = rows.next()? {
        let number = unsigned(row.get(0)?)?;
        let record = Record::decode(row.get_ref(1)?.as_blob().unwrap_or_default()).unwrap_or_default();
        let held = record.operation == FREEZE
            && record.requester == "admin"
            && connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM freezes WHERE wallet = ?1)")?
                .query_row([&record.wallet], |row| row.get(0))?;
        if !held {
            return Err(tampered(format!(
                "its rows are as they were at record {at} of the audit chain, and record {number} has changed them since"
            )));
        }
    }
    Ok(())
}

/// Whether this chain says that a key was made.
pub(super) fn had_a_key(connection: &Connection) -> Result<bool, StoreError> {
    let mut query = connection.prepare("SELECT record FROM audit WHERE instr(record, CAST(?1 AS BLOB)) > 0")?;
    let mut rows = query.query([STORE_KEY_MADE])?;
    while let Some(row) = rows.next()? {
        // Anybody's words may contain the name.
        let record = Record::decode(row.get_ref(0)?.as_blob().unwrap_or_default()).unwrap_or_default();
        if record.operation == STORE_KEY_MADE {
            return Ok(true);
        }
    }
    Ok(false)
}
