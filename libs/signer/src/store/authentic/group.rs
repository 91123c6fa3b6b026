//! The end of each group of writes: the tally with what the group has changed, in its transaction.

use std::sync::Arc;

use rusqlite::Connection;

use super::{
    key::StoreKey,
    tally::{Tally, tampered},
    triggers,
};
use crate::store::{Ledger, StoreError};

/// Whoever has the key writes the tally.
pub(in crate::store) struct Tallier {
    pub(super) key: Arc<StoreKey>,
    /// The last one that was read or written. Whether it was committed shows: another one is read again.
    last: Option<(Vec<u8>, Tally)>,
}

impl Tallier {
    pub(super) fn new(key: Arc<StoreKey>) -> Self {
        Self { key, last: None }
    }

    /// Before the commit.
    pub(in crate::store) fn end_group(&mut self, connection: &Connection) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE freezes SET pending = 0 WHERE pending = 1")?.execute([])?;
        let changes = triggers::take(connection)?;
        let head = Ledger::new(connection, 0).head()?;
        let sealed = Tally::kept(connection)?.ok_or_else(|| tampered("its tally is missing"))?;
        // Another process with the key may have written since.
        let mut tally = match self.last.take() {
            Some((known, tally)) if known == sealed => tally,
            _ => Tally::open(&self.key, &sealed)?,
        };
        if changes.is_empty() && tally.head == head {
            self.last = Some((sealed, tally));
            return Ok(());
        }
        for (name, change) in changes {
            let rows = tally.tables.entry(name.to_owned()).or_default();
            *rows = rows.plus(change);
        }
        tally.head = head;
        let sealed = tally.seal(&self.key);
        Tally::keep(connection, &sealed)?;
        self.last = Some((sealed, tally));
        Ok(())
    }
}
