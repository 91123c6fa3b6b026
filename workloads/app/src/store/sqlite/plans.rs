//! How SQLite goes about every statement that a test runs: none may go through, or sort, all rows of a table that grows.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};

/// Tables with a handful of rows, however many payments there are: `lost` grows by restores alone, and is gone through
/// once at a start.
const SMALL: [&str; 2] = ["lost", "payment_counts"];

thread_local! {
    /// What was run on this thread since it was last looked at.
    static RUN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Notes what is run on the connection from now on.
pub(super) fn watch(connection: &Connection) {
    RUN.take();
    connection.trace_v2(
        TraceEventCodes::SQLITE_TRACE_STMT,
        Some(|event| {
            if let TraceEvent::Stmt(statement, _) = event {
                RUN.with_borrow_mut(|run| run.insert(statement.sql().into_owned()));
            }
        }),
    );
}

/// Panics if something of what was run takes the longer the more is stored.
pub(super) fn check(connection: &Connection) {
    static CHECKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    connection.trace_v2(TraceEventCodes::empty(), None);
    for sql in RUN.take() {
        if CHECKED.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.clone()) {
            let grows = grows(connection, &sql);
            assert_eq!(grows, None, "this statement takes the longer the more is stored; give it an index: {sql}");
        }
    }
}

/// The line of the plan that shows it.
pub(super) fn grows(connection: &Connection, sql: &str) -> Option<String> {
    // Savepoints have no plan.
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).ok()?;
    let parameters = statement.parameter_count();
    let nothing = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
    let lines = statement.query_map(nothing, |row| row.get::<_, String>("detail")).unwrap();
    let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
    lines.into_iter().find(|line| line.contains("TEMP B-TREE FOR ORDER BY") || scans(connection, line))
}

/// An index that leaves out what has ended stays as small as what is under way.
fn scans(connection: &Connection, line: &str) -> bool {
    let mut words = line.split_whitespace();
    let Some("SCAN") = words.next() else { return false };
    let stored = |name: &str, kind: &str| -> bool {
        let sql =
            "SELECT count(*) FROM sqlite_schema WHERE name = ?1 AND (type = 'table' OR sql LIKE ?2) AND type = ?3";
        let like = "% WHERE %";
        connection.query_row(sql, [name, like, kind], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    let table = words.next().unwrap_or_default();
    let index = line.split_once("INDEX ").map(|(_, index)| index);
    stored(table, "table") && !SMALL.contains(&table) && !index.is_some_and(|index| stored(index, "index"))
}
