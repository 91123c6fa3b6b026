//! The one thread that writes, and the connections that read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{error::StoreError, schema};
use crate::fault;

/// The file in the data directory.
pub const FILE: &str = "signer.sqlite3";
/// Writes that may wait; more wait at the door.
const QUEUE: usize = 1024;
/// Most writes in one transaction.
const GROUP: usize = 256;
/// Pages in the log before they are moved into the file, which holds up everybody for some syncs.
const CHECKPOINT_PAGES: u32 = 8_000;
/// Prepared statements that a connection keeps, more than the store has: a decision that evicts its own statements
/// prepares all of them anew.
const STATEMENTS: usize = 128;
/// Wait for a lock held by a local command of the same signer.
const BUSY: Duration = Duration::from_secs(5);

/// A step inside a transaction, and what tells its asker after the commit.
type Step = Box<dyn FnOnce(&Connection) -> Committed + Send>;
type Committed = Box<dyn FnOnce(Result<(), StoreError>)>;
/// Steps that nobody waits for: written with the next that somebody does, for a commit of their own would hold up others.
type Later = Arc<Mutex<Vec<Step>>>;

/// A handle to the store.
pub struct Store {
    path: PathBuf,
    steps: mpsc::Sender<Step>,
    later: Later,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens or makes the store in `data_dir` and starts its writer, which ends with the handle.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let mut writer = connect(&path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        schema::migrate(&mut writer)?;
        let (steps, waiting) = mpsc::channel(QUEUE);
        let later = Later::default();
        let pending = later.clone();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_groups(&mut writer, waiting, &pending))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { path, steps, later, readers: Mutex::default() })
    }

    /// Runs `step` on the writer and answers when it is on disk. A step that fails leaves nothing behind and does not
    /// touch the others of its group.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let step: Step = Box::new(move |connection| {
            let outcome = isolated(connection, step);
            Box::new(move |committed| {
                // The asker may have given up; what is written stays written.
                let _ = answer.send(committed.and(outcome));
            })
        });
        self.steps.send(step).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Leaves a step whose outcome nobody waits for to the next group; a failure is in the log.
    pub(super) fn leave(&self, step: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static) {
        let step: Step = Box::new(move |connection| {
            if let Err(error) = isolated(connection, step) {
                tracing::error!(%error, "a write that can be repeated failed");
            }
            Box::new(|_| {})
        });
        locked(&self.later).push(step);
    }

    /// Writes what was left to a next group that has not come.
    pub async fn flush(&self) -> Result<(), StoreError> {
        if locked(&self.later).is_empty() { Ok(()) } else { self.write(|_| Ok(())).await }
    }

    /// Counts from now on the steps of what its writer prepares, but for BEGIN and COMMIT: SQLite asks whether each is
    /// allowed when a statement is prepared, and at no other time.
    #[cfg(test)]
    pub(crate) async fn count_prepared(&self) -> Arc<std::sync::atomic::AtomicUsize> {
        use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
        use std::sync::atomic::{AtomicUsize, Ordering};

        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let hook = move |connection: &Connection| {
            Ok(connection.authorizer(Some(move |asked: AuthContext<'_>| {
                let counts = !matches!(asked.action, AuthAction::Transaction { .. });
                counted.fetch_add(counts.into(), Ordering::Relaxed);
                Authorization::Allow
            }))?)
        };
        self.write(hook).await.unwrap();
        count
    }

    /// Runs `query` on a connection of its own.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let idle = locked(&self.readers).pop();
        let path = self.path.clone();
        let (connection, outcome) = tokio::task::spawn_blocking(move || {
            let connection = idle.map_or_else(|| connect(&path), Ok)?;
            let outcome = query(&connection);
            Ok::<_, StoreError>((connection, outcome))
        })
        .await
        .map_err(|_| StoreError::Closed)??;
        locked(&self.readers).push(connection);
        outcome
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::Open { path: path.display().to_string(), cause: error.to_string() })?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The writer: all that waits, one transaction, one fsync, then the answers.
fn write_groups(connection: &mut Connection, mut waiting: mpsc::Receiver<Step>, later: &Later) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        // First what was left: whoever asks again finds the result.
        let mut steps = std::mem::take(&mut *locked(later));
        steps.append(&mut group);
        let mut answers = Vec::with_capacity(steps.len());
        let committed = write_group(connection, steps, &mut answers);
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of writes was not committed");
        }
        // What was not run has no answer to give: its asker sees the channel close.
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }
}

fn write_group(connection: &mut Connection, steps: Vec<Step>, answers: &mut Vec<Committed>) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        answers.push(step(&tx));
        // On a full or failing disk SQLite may give up the whole transaction within a step. What comes after it would
        // be written on its own, and what came before it be answered as if it had been.
        if tx.is_autocommit() {
            return Err(StoreError::Failed("a transaction was given up".to_owned()));
        }
    }
    fault::point("written");
    tx.commit()?;
    fault::point("committed");
    Ok(())
}

/// A failed step is rolled back alone; where that fails, the whole transaction is given up.
fn isolated<T>(
    connection: &Connection,
    step: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let run = |words: &str| connection.prepare_cached(words)?.execute([]);
    run("SAVEPOINT step")?;
    let outcome = step(connection);
    let back = if outcome.is_ok() { Ok(0) } else { run("ROLLBACK TO step") };
    if let Err(error) = back.and_then(|_| run("RELEASE step")) {
        // Fails where SQLite has given it up already.
        let _ = connection.execute_batch("ROLLBACK");
        return Err(error.into());
    }
    outcome
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    fn count(connection: &Connection) -> Result<i64, StoreError> {
        Ok(connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0))?)
    }

    fn insert(connection: &Connection, name: &str) -> Result<(), StoreError> {
        connection.execute("INSERT INTO documents (name, content) VALUES (?1, '')", [name])?;
        Ok(())
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let writes = (0..300).map(|n| store.write(move |connection| insert(connection, &n.to_string())));
        assert!(join_all(writes).await.into_iter().all(|outcome| outcome.is_ok()));
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().read(count).await.unwrap(), 300);
    }

    #[tokio::test]
    async fn a_step_that_fails_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let good = store.write(|connection| insert(connection, "good"));
        let bad = store.write(|connection| {
            insert(connection, "half")?;
            insert(connection, "half")
        });
        let last = store.write(|connection| insert(connection, "last"));
        let (good, bad, last) = tokio::join!(good, bad, last);
        assert!(good.is_ok() && last.is_ok());
        assert!(matches!(bad, Err(StoreError::Failed(_))));
        assert_eq!(store.read(count).await.unwrap(), 2);
    }

    #[test]
    fn where_a_transaction_is_given_up_within_a_step_nothing_is_kept_and_nobody_is_told_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let mut connection = connect(&dir.path().join(FILE)).unwrap();
        let (kept, told) = std::sync::mpsc::channel();
        let step = |run: fn(&Connection) -> Result<(), StoreError>| -> Step {
            let kept = kept.clone();
            Box::new(move |connection| {
                let outcome = isolated(connection, run);
                Box::new(move |committed| kept.send(committed.and(outcome).is_ok()).unwrap())
            })
        };
        // As SQLite does by itself on a full disk.
        let full = |connection: &Connection| Ok(connection.execute_batch("ROLLBACK")?);
        let group = vec![
            step(|connection| insert(connection, "before")),
            step(full),
            step(|connection| insert(connection, "after")),
        ];
        let mut answers = Vec::new();
        let committed = write_group(&mut connection, group, &mut answers);
        answers.into_iter().for_each(|answer| answer(committed.clone()));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [false, false]);
        assert_eq!(count(&connection).unwrap(), 0);
    }

    #[tokio::test]
    async fn every_commit_is_synced_to_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let pragmas = store
            .write(|connection| {
                let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
                let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
                Ok((mode, synchronous))
            })
            .await
            .unwrap();
        assert_eq!(pragmas, ("wal".to_owned(), 2));
    }

    #[tokio::test]
    async fn a_store_of_a_newer_build_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(Store::open(dir.path()).err(), Some(StoreError::TooNew { version: 99, known: 4 }));
    }

    #[tokio::test]
    async fn two_handles_write_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap());
        let ones = join_all((0..20).map(|n| one.write(move |connection| insert(connection, &format!("a{n}")))));
        let twos = join_all((0..20).map(|n| two.write(move |connection| insert(connection, &format!("b{n}")))));
        let (ones, twos) = tokio::join!(ones, twos);
        assert!(ones.into_iter().chain(twos).all(|outcome| outcome.is_ok()));
        assert_eq!(one.read(count).await.unwrap(), 40);
    }
}
