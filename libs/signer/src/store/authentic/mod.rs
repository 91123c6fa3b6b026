//! Rows that nobody but the signer can have written. Whoever can write to the volume while the process is down can't
//! remove, change, exchange, add or put back a row of an authenticated table unseen: [`tables`] says which those are, the
//! [`tally`] what the store key says of all their rows, [`triggers`] count each change, [`group`] writes the tally with
//! each commit, and [`scan`] compares it with the rows at each start. While it lives, the process trusts its own file.

mod group;
mod key;
mod scan;
mod sum;
mod tables;
mod tally;
mod triggers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audit::Entry;
use rusqlite::{Connection, OptionalExtension};

pub(super) use self::{group::Tallier, triggers::guard};
pub use self::{key::StoreKey, scan::STORE_KEY_MADE};

use self::tally::{Tally, tampered};
use super::{Ledger, Store, StoreError};

/// Whoever has the key; nobody before it was opened.
pub(super) type Slot = Arc<Mutex<Option<Tallier>>>;

pub(super) fn locked(slot: &Slot) -> MutexGuard<'_, Option<Tallier>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// The store key as the Vault sealed it; none: nobody has made one.
    pub async fn sealed_store_key(&self) -> Result<Option<String>, StoreError> {
        self.read(sealed_key).await
    }

    /// Keeps a new store key and the first tally of a store that has none, on the record, as `entry` of
    /// [`STORE_KEY_MADE`]: the rows that are there by now are believed. False: somebody else has made a key meanwhile.
    pub async fn keep_store_key(&self, sealed: String, key: Arc<StoreKey>, entry: Entry) -> Result<bool, StoreError> {
        self.write(move |connection| {
            if sealed_key(connection)?.is_some() {
                return Ok(false);
            }
            if Tally::kept(connection)?.is_some() || scan::had_a_key(connection)? {
                return Err(tampered("its store key is missing"));
            }
            scan::well_formed(connection)?;
            connection.execute("INSERT INTO store_key (id, sealed) VALUES (1, ?1)", [sealed])?;
            connection.execute("UPDATE freezes SET pending = 0", [])?;
            let head = Ledger::new(connection, entry.at_ms).append(entry)?;
            let tally = Tally { head, tables: scan::tables(connection, &key)? };
            Tally::keep(connection, &tally.seal(&key))?;
            Ok(true)
        })
        .await
    }

    /// From now on this handle writes to authenticated tables, and the tally with them. What the tally says of the audit
    /// chain is compared, the rows are not: see [`Store::compare_rows`].
    pub async fn authenticate(&self, key: Arc<StoreKey>) -> Result<(), StoreError> {
        let slot = self.slot.clone();
        self.write(move |connection| {
            let sealed = Tally::kept(connection)?.ok_or_else(|| tampered("its tally is missing"))?;
            scan::of_this_chain(connection, &Tally::open(&key, &sealed)?)?;
            triggers::count(connection, &key)?;
            *locked(&slot) = Some(Tallier::new(key));
            Ok(())
        })
        .await
    }

    /// Compares all rows with the tally. It reads all of them, and nobody waits for it but the asker.
    pub async fn compare_rows(&self) -> Result<(), StoreError> {
        let key = locked(&self.slot).as_ref().map(|tallier| tallier.key.clone());
        let key = key.ok_or(StoreError::Keyless)?;
        self.read(move |connection| scan::compare(connection, &key)).await
    }
}

fn sealed_key(connection: &Connection) -> Result<Option<String>, StoreError> {
    Ok(connection.query_row("SELECT sealed FROM store_key", [], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests;
