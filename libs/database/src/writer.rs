//! The one thread that writes. What is urgent goes first: it waits for at most the step that is being run and the commit
//! of its group.

use std::{
    fmt::Display,
    iter::{from_fn, once},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use futures::executor::block_on;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::{Failure, checkpoint::Bell, turnstile::Turnstile};

/// Writes of each class that may wait; more wait at the door.
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
/// See [`crate::Database::open_with`].
pub(crate) type EndGroup = Box<dyn FnMut(&Connection) -> Result<(), Failure> + Send>;
/// Steps that nobody waits for: written with the next that somebody does, for a commit of their own would hold up others.
type Later = Arc<Mutex<Vec<Step>>>;

/// Before whom a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Before all others.
    Urgent,
    /// In the order in which they came.
    Ordinary,
}

/// The way to the thread.
pub(crate) struct Writer {
    /// Taken out only when the thread has to end.
    steps: Option<Doors>,
    later: Later,
    thread: Option<JoinHandle<()>>,
}

struct Doors {
    urgent: mpsc::Sender<Step>,
    ordinary: mpsc::Sender<Step>,
}

/// What waits for the thread.
struct Waiting {
    urgent: mpsc::Receiver<Step>,
    ordinary: mpsc::Receiver<Step>,
}

impl Waiting {
    /// Waits for a step; none where nobody can bring one any more.
    fn first(&mut self) -> Option<(Class, Step)> {
        block_on(async {
            tokio::select! {
                biased;
                Some(step) = self.urgent.recv() => Some((Class::Urgent, step)),
                Some(step) = self.ordinary.recv() => Some((Class::Ordinary, step)),
                else => None,
            }
        })
    }

    /// One more for a group of this class. An ordinary group ends where something urgent waits.
    fn more(&mut self, class: Class) -> Option<Step> {
        match class {
            Class::Urgent => self.urgent.try_recv().ok(),
            Class::Ordinary if self.urgent.is_empty() => self.ordinary.try_recv().ok(),
            Class::Ordinary => None,
        }
    }
}

impl Writer {
    pub(crate) fn start(
        path: &Path,
        mut connection: Connection,
        passed: fn(Moment),
        bell: Bell,
        mut end_group: EndGroup,
    ) -> Result<Self, Failure> {
        let ((urgent, urgently), (ordinary, ordinarily)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let waiting = Waiting { urgent: urgently, ordinary: ordinarily };
        let later = Later::default();
        let (pending, turnstile) = (later.clone(), Turnstile::of(path));
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                bell.hang(&connection);
                write_groups(&mut connection, waiting, &pending, &turnstile, passed, &mut end_group);
            })
            .map_err(|error| Failure::NoThread(Arc::new(error)))?;
        Ok(Self { steps: Some(Doors { urgent, ordinary }), later, thread: Some(thread) })
    }

    /// See [`crate::Database::write`].
    pub(crate) async fn write<T, E>(
        &self,
        class: Class,
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
        let Doors { urgent, ordinary } = self.steps.as_ref().ok_or(Failure::Closed)?;
        let door = if class == Class::Urgent { urgent } else { ordinary };
        door.send(step).await.map_err(|_| Failure::Closed)?;
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
        if locked(&self.later).is_empty() { Ok(()) } else { self.write(Class::Ordinary, |_| Ok(())).await }
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

/// The writer: all that waits of one class, one transaction, one fsync, then the answers.
fn write_groups(
    connection: &mut Connection,
    mut waiting: Waiting,
    later: &Later,
    turnstile: &Turnstile,
    passed: fn(Moment),
    end_group: &mut EndGroup,
) {
    while let Some((class, first)) = waiting.first() {
        let (left, _turn) = match class {
            Class::Urgent => (Vec::new(), turnstile.hold()),
            // First what was left: whoever asks again finds the result.
            Class::Ordinary => (std::mem::take(&mut *locked(later)), turnstile.pass()),
        };
        let more = from_fn(|| waiting.more(class)).take(GROUP - 1);
        let mut answers = Vec::new();
        let steps = left.into_iter().chain(once(first)).chain(more);
        let committed = write_group(connection, steps, &mut answers, passed, end_group);
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of writes was not committed");
        }
        // What was not run has no answer to give: its asker sees the channel close.
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }
}

pub(crate) fn write_group(
    connection: &mut Connection,
    steps: impl IntoIterator<Item = Step>,
    answers: &mut Vec<Committed>,
    passed: fn(Moment),
    end_group: &mut EndGroup,
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
    end_group(&tx)?;
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
