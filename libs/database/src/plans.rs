//! For tests: how SQLite goes about every statement that is run on a connection. None may go through, or sort, all rows
//! of a table that grows. Compiled with the feature `plans` alone.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
    types::Null,
};

thread_local! {
    /// What was run on this thread since it was last looked at.
    static RUN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// What a schema's statements may do.
pub struct Plans {
    small: &'static [&'static str],
    whole: &'static [(&'static str, &'static str)],
    /// What was looked at before.
    checked: Mutex<BTreeSet<String>>,
}

impl Plans {
    /// `small`: tables with a handful of rows, however much is stored; every other one grows. `whole`: how statements begin
    /// that have to go through everything, with the reason: exports, and commands that are run once.
    pub const fn new(small: &'static [&'static str], whole: &'static [(&'static str, &'static str)]) -> Self {
        Self { small, whole, checked: Mutex::new(BTreeSet::new()) }
    }

    /// Notes what is run on the connection from now on, by this thread.
    pub fn watch(&self, connection: &Connection) {
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

    /// Ends it.
    ///
    /// # Panics
    /// If something of what was run takes the longer the more is stored.
    pub fn check(&self, connection: &Connection) {
        connection.trace_v2(TraceEventCodes::empty(), None);
        for sql in RUN.take() {
            if self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.clone()) {
                let grows = self.grows(connection, &sql);
                assert_eq!(grows, None, "this statement takes the longer the more is stored; give it an index: {sql}");
            }
        }
    }

    /// The line of the plan that shows it; none also where the statement may.
    pub fn grows(&self, connection: &Connection, sql: &str) -> Option<String> {
        let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.whole.iter().any(|(begins, _)| words.starts_with(begins)) {
            return None;
        }
        // Savepoints have no plan.
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).ok()?;
        let nothing = rusqlite::params_from_iter(vec![Null; statement.parameter_count()]);
        let rows = statement.query_map(nothing, |row| row.get::<_, String>("detail")).ok()?;
        let lines: Vec<String> = rows.filter_map(Result::ok).collect();
        let last = |line: &str| last_row(connection, line, &words);
        let grows =
            |line: &str| line.contains("TEMP B-TREE FOR ORDER BY") || self.scans(connection, line) && !last(line);
        lines.into_iter().find(|line| grows(line))
    }

    /// An index that leaves out what has ended stays as small as what is under way.
    fn scans(&self, connection: &Connection, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let how = words.next().unwrap_or_default();
        // SQLite says SEARCH of every minimum and maximum, with an index or without.
        if how != "SCAN" && (how != "SEARCH" || line.contains("USING")) {
            return false;
        }
        let known = |what: &str, name: &str| {
            let sql = format!("SELECT count(*) FROM sqlite_schema WHERE name = ?1 AND {what}");
            connection.query_row(&sql, [name], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
        };
        let table = words.next().unwrap_or_default();
        let index = line.split_once("INDEX ").map(|(_, index)| index);
        known("type = 'table'", table)
            && !self.small.contains(&table)
            && !index.is_some_and(|index| known("type = 'index' AND sql LIKE '% WHERE %'", index))
    }
}

/// Whether this line is of the last row of a table, which is found without any other.
fn last_row(connection: &Connection, line: &str, sql: &str) -> bool {
    let Some(table) = line.strip_prefix("SEARCH ") else { return false };
    let key = "SELECT name FROM pragma_table_info(?1) WHERE pk = 1 AND type = 'INTEGER'";
    let key = connection.query_row(key, [table], |row| row.get::<_, String>(0));
    ["rowid"].into_iter().chain(key.as_deref().ok()).any(|key| sql.contains(&format!("max({key})")))
}
