//! One SQLite file: WAL, synchronous FULL. One thread writes; whatever waits is written in one transaction and answered
//! after its commit, so that many writes share one fsync and a write that returned survives a power cut. Readers have
//! connections of their own and never wait for the writer, and neither waits for the log to be moved into the file.

mod checkpoint;
mod connection;
mod failure;
#[cfg(feature = "plans")]
pub mod plans;
mod readers;
mod turnstile;
mod writer;

use std::path::Path;

use rusqlite::Connection;

use checkpoint::Checkpointer;
pub use checkpoint::LogUse;
pub use failure::Failure;
use readers::Readers;
pub use writer::Moment;
use writer::{Class, Writer};

/// A handle of the file. The writer's thread ends with it: once it is dropped, the file is closed.
pub struct Database {
    // In the order in which they end.
    writer: Writer,
    checkpointer: Checkpointer,
    readers: Readers,
}

impl Database {
    /// Opens or makes the file, brings it to the present version by `migrate`, and starts the writer, which tells
    /// `passed` where it is in each group.
    pub fn open<E: From<Failure>>(
        path: &Path,
        migrate: impl FnOnce(&mut Connection) -> Result<(), E>,
        passed: fn(Moment),
    ) -> Result<Self, E> {
        Self::open_with(path, migrate, passed, |_| Ok(()))
    }

    /// The same with `end_group`, which is run in the transaction of each group after its steps: where it fails, nothing
    /// of the group is kept.
    pub fn open_with<E: From<Failure>>(
        path: &Path,
        migrate: impl FnOnce(&mut Connection) -> Result<(), E>,
        passed: fn(Moment),
        end_group: impl FnMut(&Connection) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, E> {
        let mut connection = connection::for_writing(path)?;
        migrate(&mut connection)?;
        let (checkpointer, bell) = Checkpointer::start(path)?;
        let writer = Writer::start(path, connection, passed, bell, Box::new(end_group))?;
        Ok(Self { writer, checkpointer, readers: Readers::of(path) })
    }

    /// Runs `step` on the writer and answers when it is on disk. A step that fails leaves nothing behind and does not
    /// touch the others of its group.
    pub async fn write<T, E>(&self, step: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        self.writer.write(Class::Ordinary, step).await
    }

    /// The same before all ordinary steps, in a group of its own: it waits for no more than the commit of the group that
    /// is being written, by whatever process.
    pub async fn write_urgent<T, E>(
        &self,
        step: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        self.writer.write(Class::Urgent, step).await
    }

    /// Leaves a step whose outcome nobody waits for to the next group; a failure is in the log.
    pub fn leave<E>(&self, step: impl FnOnce(&Connection) -> Result<(), E> + Send + 'static)
    where
        E: From<Failure> + std::fmt::Display + 'static,
    {
        self.writer.leave(step);
    }

    /// Writes what was left to a next group that has not come.
    pub async fn flush(&self) -> Result<(), Failure> {
        self.writer.flush().await
    }

    /// Runs `query` on one of a few connections that only read, off the async threads. It sees all that was committed
    /// before it began.
    pub async fn read<T, E>(&self, query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        self.readers.read(Class::Ordinary, query).await
    }

    /// The same on a connection that no ordinary query can take.
    pub async fn read_urgent<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        self.readers.read(Class::Urgent, query).await
    }

    /// What the log was used for so far.
    pub fn log_use(&self) -> LogUse {
        self.checkpointer.log_use()
    }
}

#[cfg(test)]
mod tests;
