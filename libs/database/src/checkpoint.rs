//! Moves the log into the file beside the writer, on a thread and a connection of its own, so that no group of writes
//! waits for it. The writer does it itself only where the log has become long all the same: while somebody reads for
//! long, or while writes come faster than the thread moves them.

use std::{
    cell::RefCell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, hooks::Wal};

use crate::{Failure, connection};

/// Pages in the log after which the thread moves them.
const EVERY: u64 = 2_000;
/// Pages in the log from which the writer moves them itself, at each commit until it has succeeded.
const MOST: u64 = 8_000;

thread_local! {
    /// The writer's: SQLite tells a bare function how long the log is.
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

/// What the log was used for since the file was opened by this handle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogUse {
    /// Pages that the writer wrote into it.
    pub pages: u64,
    /// How often they were moved into the file beside the writer.
    pub beside: u64,
    /// How often the writer had to do it.
    pub by_writer: u64,
}

#[derive(Default)]
struct Counts {
    pages: AtomicU64,
    beside: AtomicU64,
    by_writer: AtomicU64,
}

/// The thread; it ends with the writer's.
pub(crate) struct Checkpointer {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// The writer's end: wakes the thread.
pub(crate) struct Bell {
    counts: Arc<Counts>,
    moves: SyncSender<()>,
    /// Length of the log after the last commit, and when the thread was last woken.
    length: u64,
    rung_at: u64,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path) -> Result<(Self, Bell), Failure> {
        // One that waits is enough: it moves all that is there by then.
        let (moves, asked) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let (path, counted) = (path.to_owned(), counts.clone());
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&path, &asked, &counted.beside))
            .map_err(|error| Failure::NoThread(Arc::new(error)))?;
        let bell = Bell { counts: counts.clone(), moves, length: 0, rung_at: 0 };
        Ok((Self { counts, thread: Some(thread) }, bell))
    }

    pub(crate) fn log_use(&self) -> LogUse {
        let Counts { pages, beside, by_writer } = &*self.counts;
        let [pages, beside, by_writer] = [pages, beside, by_writer].map(|count| count.load(Ordering::Relaxed));
        LogUse { pages, beside, by_writer }
    }
}

impl Drop for Checkpointer {
    /// The writer has ended before, so nothing wakes the thread any more.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there was already shown.
            let _ = thread.join();
        }
    }
}

impl Bell {
    /// From now on commits of this connection, which is this thread's, wake the checkpointer. It takes the place of
    /// SQLite's own checkpoints.
    pub(crate) fn hang(self, connection: &Connection) {
        BELL.set(Some(self));
        connection.wal_hook(Some(|wal, length| {
            BELL.with_borrow_mut(|bell| bell.iter_mut().for_each(|bell| bell.committed(wal, length.unsigned_abs())));
            Ok(())
        }));
    }

    fn committed(&mut self, log: &Wal, length: u32) {
        let length = u64::from(length);
        if length < self.length {
            // All of it had been moved: it began anew.
            (self.length, self.rung_at) = (0, 0);
        }
        self.counts.pages.fetch_add(length - self.length, Ordering::Relaxed);
        self.length = length;
        if length >= MOST {
            self.counts.by_writer.fetch_add(1, Ordering::Relaxed);
            // Where the thread is just at it, or a reader is in the way, the next commit tries again.
            let _ = log.checkpoint();
        } else if length - self.rung_at >= EVERY {
            self.rung_at = length;
            let _ = self.moves.try_send(());
        }
    }
}

fn run(path: &Path, asked: &Receiver<()>, moved: &AtomicU64) {
    let mut own = None;
    while asked.recv().is_ok() {
        match checkpoint(path, &mut own) {
            Ok(()) => drop(moved.fetch_add(1, Ordering::Relaxed)),
            Err(error) => tracing::warn!(%error, "the log was not moved into the file; it is tried again"),
        }
    }
}

/// Waits for nobody: what somebody still reads from the log stays there.
fn checkpoint(path: &Path, own: &mut Option<Connection>) -> Result<(), Failure> {
    let connection = match own {
        Some(connection) => connection,
        None => own.insert(connection::for_checkpoints(path)?),
    };
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::Database;

    const MIB: usize = 1 << 20;

    fn open(path: &Path) -> Database {
        let migrate = |connection: &mut Connection| {
            Ok::<_, Failure>(connection.execute_batch("CREATE TABLE bytes (bytes BLOB NOT NULL) STRICT")?)
        };
        Database::open(path, migrate, |_| {}).unwrap()
    }

    /// Some 256 pages.
    async fn write(database: &Database) {
        let step = |connection: &Connection| {
            connection.execute("INSERT INTO bytes VALUES (zeroblob(?1))", [MIB as i64])?;
            Ok::<_, Failure>(())
        };
        database.write(step).await.unwrap();
    }

    async fn until(met: impl Fn() -> bool) {
        while !met() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn no_group_moves_the_log_while_the_thread_does_and_the_log_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let database = open(&path);
        for round in 1..=5 {
            for _ in 0..EVERY / 256 + 1 {
                write(&database).await;
            }
            until(|| database.log_use().beside >= round).await;
        }
        let used = database.log_use();
        assert!(used.pages > MOST && used.by_writer == 0, "{used:?}");
        let log = PathBuf::from(format!("{}-wal", path.display())).metadata().unwrap().len();
        assert!(log < MOST * 4096, "{log} bytes");
        drop(database);
        assert!(path.metadata().unwrap().len() > 40 * MIB as u64, "all of it is in the file");
    }

    #[tokio::test]
    async fn a_reader_that_stays_makes_the_log_long_and_the_writer_ends_it_when_the_reader_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir.path().join("file"));
        let reader = connection::for_reading(&dir.path().join("file")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM bytes").unwrap();
        let mut rows = reader.prepare("SELECT count(*) FROM bytes").unwrap();
        assert_eq!(rows.query_row([], |row| row.get::<_, i64>(0)).unwrap(), 0);
        while database.log_use().by_writer == 0 {
            write(&database).await;
        }
        assert!(database.log_use().pages >= MOST);
        drop(rows);
        reader.execute_batch("COMMIT").unwrap();
        // The next one moves all of it, and the one after that finds an empty log.
        loop {
            let before = database.log_use().by_writer;
            write(&database).await;
            if database.log_use().by_writer == before {
                break;
            }
        }
    }
}
