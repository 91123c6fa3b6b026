//! One SQLite file: WAL, synchronous FULL. One thread writes; whatever waits is written in one transaction and answered
//! after its commit, so that many writes share one fsync and a write that returned survives a power cut. Readers have
//! connections of their own and never wait for the writer.

mod connection;
mod failure;
mod readers;
mod writer;

use std::path::Path;

use rusqlite::Connection;

pub use failure::Failure;
use readers::Readers;
pub use writer::Moment;
use writer::Writer;

/// A handle of the file. The writer's thread ends with it: once it is dropped, the file is closed.
pub struct Database {
    writer: Writer,
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
        let mut connection = connection::for_writing(path)?;
        migrate(&mut connection)?;
        Ok(Self { writer: Writer::start(connection, passed)?, readers: Readers::of(path) })
    }

    /// Runs `step` on the writer and answers when it is on disk. A step that fails leaves nothing behind and does not
    /// touch the others of its group.
    pub async fn write<T, E>(&self, step: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        self.writer.write(step).await
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
        self.readers.read(query).await
    }
}

#[cfg(test)]
mod tests;
