//! How SQLite goes about every statement that a test of this crate makes the store run.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use database::plans::Plans;
use rusqlite::Connection;

/// The tables that do not grow with wallets, signatures or requests, and the statements that go through the others all the
/// same.
static PLANS: Plans = Plans::new(
    &[
        "cool_keys",
        "destinations",
        "documents",
        "freezes",
        "heads",
        "identity",
        "local_policies",
        "overrides",
        "sealed_versions",
        "start",
        "store",
        "store_key",
        "tally",
        "used",
        "vetoes",
        "waiting",
        "windows",
    ],
    &[
        (
            "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms, (SELECT max(lapses_at_ms) FROM waiting WHERE \
             waiting.digest = announcements.digest) FROM announcements ORDER BY",
            "the admin's list of what waits",
        ),
        ("SELECT * FROM (SELECT wallet, chain FROM claims INDEXED BY", "one row of each table is sorted"),
        (
            "SELECT id, asset, amount, signed_at_ms, counts_from_ms FROM spends WHERE wallet",
            "of one wallet, for an export of the history",
        ),
        (
            "SELECT nonce, coin, kind, id FROM claims WHERE wallet = ?1 AND chain = ?2 ORDER BY",
            "of one wallet, for an export of the history",
        ),
        (
            "SELECT nonce, coin, id, at_ms, state, attester FROM settled INDEXED BY settled_",
            "of one wallet, for an export of the history",
        ),
        ("SELECT \"", "comparison of all rows with the tally at a start"),
        ("SELECT record FROM audit WHERE instr(", "a file whose store key is missing"),
        ("SELECT type, name, sql FROM main.sqlite_schema", "comparison of the schema at a start"),
        ("SELECT name FROM pragma_table_info(", "the columns of a table"),
        (
            "SELECT wallet, chain, max(nonce) FROM (SELECT wallet, chain, nonce FROM claims UNION ALL",
            "import of a history",
        ),
        ("SELECT wallet, chain, nonce, coin FROM claims WHERE coin IS NOT NULL UNION", "import of a history"),
        ("DELETE FROM sums", "import of a history"),
        (
            "UPDATE spends SET counts_from_ms = ?3 WHERE wallet = ?1 AND chain = ?2 AND counts_from_ms IS NULL",
            "import of a history",
        ),
        ("SELECT wallet FROM wallets ORDER BY wallet", "export of the wallets"),
        ("SELECT count(*) FROM evacuations", "a test's question"),
    ],
);

/// Looks at all that one store runs.
#[derive(Clone, Default)]
pub(super) struct Watch {
    /// Where SQLite's programs went round or on: the more rows, the more of it.
    turns: Arc<AtomicU64>,
}

impl Watch {
    pub(super) fn over<T>(
        &self,
        step: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> impl FnOnce(&Connection) -> T + Send + 'static {
        let turns = self.turns.clone();
        move |connection| {
            PLANS.watch(connection);
            let count = move || {
                turns.fetch_add(1, Ordering::Relaxed);
                false
            };
            connection.progress_handler(1, Some(count)).unwrap();
            let outcome = step(connection);
            connection.progress_handler(0, None::<fn() -> bool>).unwrap();
            PLANS.check(connection);
            outcome
        }
    }

    /// Those since this was last asked.
    pub(super) fn turns(&self) -> u64 {
        self.turns.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreError, schema::migrate};

    #[test]
    fn a_statement_that_goes_through_a_growing_table_or_sorts_it_is_found() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        for sql in [
            "SELECT count(*) FROM claims",
            "SELECT min(CAST(substr(entropy, 8) AS INTEGER)) FROM hot",
            "SELECT amount FROM spends WHERE counts_from_ms IS NULL OR counts_from_ms >= ?1",
            "SELECT id FROM records WHERE payment_id IS NULL",
            "SELECT id FROM claims WHERE wallet = ?1 ORDER BY recorded_at",
            "UPDATE operations SET result = NULL WHERE recorded_at < ?1",
        ] {
            assert!(PLANS.grows(&db, sql).is_some(), "{sql}");
        }
        for sql in [
            "SELECT length_ms, scope, uncounted FROM windows",
            "SELECT id FROM claims WHERE wallet = ?1 AND chain = ?2",
            "SELECT wallet FROM wallets ORDER BY wallet",
            "SAVEPOINT step",
        ] {
            assert_eq!(PLANS.grows(&db, sql), None, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_test_that_runs_such_a_statement_fails() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let scan = store.look(0, |ledger| {
            Ok(ledger.connection.query_row("SELECT count(*) FROM operations", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(scan.await, Err(StoreError::Closed));
    }
}
