//! Triggers of the connection that writes, none of them in the file: no code that writes rows knows of the tally, and
//! none can forget it. What they count is in a temporary table, so that whatever SQLite takes back is taken back there.

use std::sync::Arc;

use rusqlite::{Connection, functions::FunctionFlags, types::ValueRef};

use super::{
    key::StoreKey,
    sum::Sum,
    tables::{AUTHENTICATED, Table},
    tally::Rows,
};
use crate::store::{StoreError, error::KEYLESS};

/// Lets nobody write to an authenticated table without the key from the moment on at which there is a tally. A freeze is
/// added, since it only tightens.
pub(in crate::store) fn guard(connection: &Connection) -> Result<(), StoreError> {
    for table in AUTHENTICATED {
        for (event, row) in [("INSERT", Some("NEW")), ("UPDATE", None), ("DELETE", None)] {
            let counted =
                row.and_then(|row| table.counted(row)).map_or(String::new(), |counted| format!("{counted} AND"));
            let name = table.name;
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER guard_{name}_{event} AFTER {event} ON main.{name}
                 WHEN {counted} EXISTS (SELECT 1 FROM tally) BEGIN SELECT RAISE(ABORT, '{KEYLESS}'); END"
            ))?;
        }
    }
    Ok(())
}

/// Counts all changes from now on, in the place of the guard.
pub(super) fn count(connection: &Connection, key: &Arc<StoreKey>) -> Result<(), StoreError> {
    if counts(connection)? {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP TABLE changes (place INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum BLOB NOT NULL) STRICT",
    )?;
    for (place, table) in AUTHENTICATED.iter().enumerate() {
        let (name, columns) = (table.name, columns(connection, table)?);
        connection.execute_batch(&format!(
            "DROP TRIGGER guard_{name}_INSERT; DROP TRIGGER guard_{name}_UPDATE; DROP TRIGGER guard_{name}_DELETE;
             INSERT INTO changes VALUES ({place}, 0, zeroblob(32));"
        ))?;
        for (what, event, row, sign) in [
            ("added", "INSERT", "NEW", 1),
            ("before", "UPDATE", "OLD", -1),
            ("after", "UPDATE", "NEW", 1),
            ("removed", "DELETE", "OLD", -1),
        ] {
            let counted = table.counted(row).map_or(String::new(), |counted| format!("WHEN {counted}"));
            let values = columns.iter().map(|column| format!(", {row}.\"{column}\"")).collect::<String>();
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER {what}_{name} AFTER {event} ON main.{name} {counted} BEGIN
                    UPDATE changes SET count = count + ({sign}), sum = tally_{name}(sum, {sign}{values})
                    WHERE place = {place};
                 END"
            ))?;
        }
        function(connection, key.clone(), name, columns)?;
    }
    Ok(())
}

/// `tally_NAME(sum, sign, column, ...)`: the sum with a row more or less. Neither of SQLite's flags that would let the
/// file's own schema call it.
fn function(
    connection: &Connection,
    key: Arc<StoreKey>,
    table: &'static str,
    columns: Vec<String>,
) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let arguments = i32::try_from(columns.len() + 2).unwrap_or(i32::MAX);
    let name = format!("tally_{table}");
    Ok(connection.create_scalar_function(name.as_str(), arguments, flags, move |context| {
        let wrong = || rusqlite::Error::InvalidFunctionParameterType(0, rusqlite::types::Type::Blob);
        let sum = context.get_raw(0).as_blob().ok().and_then(Sum::from_bytes).ok_or_else(wrong)?;
        let values = columns.iter().enumerate().map(|(at, name)| (name.as_str(), context.get_raw(at + 2)));
        let row = key.row(table, values);
        let more = matches!(context.get_raw(1), ValueRef::Integer(1));
        Ok(if more { sum.plus(row) } else { sum.minus(row) }.to_bytes())
    })?)
}

/// What changed since the last time, by the table's place in the list.
pub(super) fn take(connection: &Connection) -> Result<Vec<(&'static str, Rows)>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT place, count, sum FROM changes WHERE count <> 0 OR sum <> zeroblob(32)")?;
    let changes = query.query_map([], |row| {
        let place = usize::from(row.get::<_, u16>(0)?);
        let sum = Sum::from_bytes(&row.get::<_, [u8; 32]>(2)?).unwrap_or_default();
        Ok((AUTHENTICATED[place].name, Rows { count: row.get(1)?, sum }))
    })?;
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    if !changes.is_empty() {
        connection.prepare_cached("UPDATE changes SET count = 0, sum = zeroblob(32)")?.execute([])?;
    }
    Ok(changes)
}

/// The columns, in the table's order.
pub(super) fn columns(connection: &Connection, table: &Table) -> Result<Vec<String>, StoreError> {
    let mut query = connection.prepare("SELECT name FROM pragma_table_info(?1, 'main') ORDER BY cid")?;
    Ok(query.query_map([table.name], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn counts(connection: &Connection) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_temp_schema WHERE type = 'table' AND name = 'changes')";
    Ok(connection.query_row(query, [], |row| row.get(0))?)
}
