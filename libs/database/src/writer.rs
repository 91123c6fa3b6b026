//! The one thread that writes.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::Failure;

/// Writes that may wait; more wait at the door.
const QUEUE: usize = 1024;
/// Most writes in one transaction.
const GROUP: usize = 256;

/// Where the writer is in a group: a test may end the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// All steps are run, nothing is committed.
    Written,
    /// On the disk, and nobody is told.
    Committed,
}

/// A step inside a transaction, and what tells its asker after the commit.
pub(crate) type Step = Box<dyn FnOnce(&Connection) -> Committed + Send>;
pub(crate) type Committed = Box<dyn FnOnce(Result<(), Failure>)>;
/// Steps that nobody waits for: written with the next that somebody does, for a commit of their own would hold up others.
type Later = Arc<Mutex<Vec<Step>>>;

/// The way to the thread.
pub(crate) struct Writer {
    /// Taken out only when the thread has to end.
    steps: Option<mpsc::Sender<Step>>,
    later: Later,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(mut connection: Connection, passed: fn(Moment)) -> Result<Self, Failure> {
        let (steps, waiting) = mpsc::channel(QUEUE);
        let later = Later::default();
        let pending = later.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write_groups(&mut connection, waiting, &pending, passed))
            .map_err(|error| Failure::NoThread(Arc::new(error)))?;
        Ok(Self { steps: Some(steps), later, thread: Some(thread) })
    }

    /// See [`crate::Database::write`].
    pub(crate) async fn write<T, E>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let step: Step = Box::new(move |connection| {
            let outcome = isolated(connection, step);
            Box::new(move |committed| {
                // The asker may have given up; what is written stays written.
                let _ = answer.send(committed.map_err(E::from).and(outcome));
            })
        });
        let steps = self.steps.as_ref().ok_or(Failure::Closed)?;
        steps.send(step).await.map_err(|_| Failure::Closed)?;
        answered.await.map_err(|_| Failure::Closed)?
    }

    /// See [`crate::Database::leave`].
    pub(crate) fn leave<E: From<Failure> + Display + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> Result<(), E> + Send + 'static,
    ) {
        let step: Step = Box::new(move |connection| {
            if let Err(error) = isolated(connection, step) {
                tracing::error!(%error, "a write that can be repeated failed");
            }
            Box::new(|_| {})
        });
        locked(&self.later).push(step);
    }

    /// See [`crate::Database::flush`].
    pub(crate) async fn flush(&self) -> Result<(), Failure> {
        if locked(&self.later).is_empty() { Ok(()) } else { self.write(|_| Ok(())).await }
    }
}

impl Drop for Writer {
    /// Waits for what is being written: whoever opens the file next finds it closed.
    fn drop(&mut self) {
        self.steps.take();
        if let Some(thread) = self.thread.take() {
            // A panic there was already shown.
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer: all that waits, one transaction, one fsync, then the answers.
fn write_groups(connection: &mut Connection, mut waiting: mpsc::Receiver<Step>, later: &Later, passed: fn(Moment)) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        // First what was left: whoever asks again finds the result.
        let mut steps = std::mem::take(&mut *locked(later));
        steps.append(&mut group);
        let mut answers = Vec::with_capacity(steps.len());
        let committed = write_group(connection, steps, &mut answers, passed);
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of writes was not committed");
        }
        // What was not run has no answer to give: its asker sees the channel close.
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }
}

pub(crate) fn write_group(
    connection: &mut Connection,
    steps: Vec<Step>,
    answers: &mut Vec<Committed>,
    passed: fn(Moment),
) -> Result<(), Failure> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps {
        answers.push(step(&tx));
        // On a full or failing disk SQLite may give up the whole transaction within a step. What comes after it would
        // be written on its own, and what came before it be answered as if it had been.
        if tx.is_autocommit() {
            return Err(Failure::GivenUp);
        }
    }
    passed(Moment::Written);
    tx.commit()?;
    passed(Moment::Committed);
    Ok(())
}

/// A failed step is rolled back alone; where that fails, the whole transaction is given up.
pub(crate) fn isolated<T, E: From<Failure>>(
    connection: &Connection,
    step: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let run = |words: &str| connection.prepare_cached(words)?.execute([]);
    run("SAVEPOINT step").map_err(Failure::from)?;
    let outcome = step(connection);
    let back = if outcome.is_ok() { Ok(0) } else { run("ROLLBACK TO step") };
    if let Err(error) = back.and_then(|_| run("RELEASE step")) {
        // Fails where SQLite has given it up already.
        let _ = connection.execute_batch("ROLLBACK");
        return Err(Failure::from(error).into());
    }
    outcome
}
