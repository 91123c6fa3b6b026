//! A connection that keeps its statements prepared.

use std::ops::Deref;

use rusqlite::{Connection, Params, Row};

use crate::store::StoreError;

/// What a statement is run on. Its methods go before those of [`Connection`], which prepare anew each time.
#[derive(Clone, Copy)]
pub(super) struct Db<'a>(&'a Connection);

impl Db<'_> {
    /// Runs a statement that answers no rows; how many it changed.
    pub(super) fn execute(self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.0.prepare_cached(sql)?.execute(params)
    }

    /// The first row that a query answers.
    pub(super) fn query_row<T>(
        self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.0.prepare_cached(sql)?.query_row(params, read)
    }
}

impl Deref for Db<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

/// Runs `work`; in tests also looks at how SQLite goes about it.
pub(super) fn run<T>(
    connection: &Connection,
    work: impl FnOnce(Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    #[cfg(test)]
    super::plans::PLANS.watch(connection);
    let outcome = work(Db(connection));
    #[cfg(test)]
    super::plans::PLANS.check(connection);
    outcome
}
