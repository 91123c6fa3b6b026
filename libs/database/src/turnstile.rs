//! Who writes next, of several processes on one file: the signer, and the admin's commands beside it. SQLite lets whoever
//! asks at the right moment write, and a process that writes one group after the other asks at every right moment.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// Longest wait for another process: it may have been stopped, and SQLite itself keeps writers apart.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);

/// A file beside the database, locked by whoever is to write next. Without it, as on a full volume, chance decides.
pub(crate) struct Turnstile(Option<File>);

/// Others wait while it lasts.
pub(crate) struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Whoever waits goes on after a while in any case.
        let _ = self.0.unlock();
    }
}

impl Turnstile {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-turn");
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        Self(
            file.inspect_err(|error| tracing::warn!(%error, "the file '-turn' beside the database does not open")).ok(),
        )
    }

    /// For what is urgent: everybody else waits, from now on until its group is written.
    pub(crate) fn hold(&self) -> Option<Turn<'_>> {
        let (file, until) = (self.0.as_ref()?, Instant::now() + PATIENCE);
        loop {
            match file.try_lock() {
                Ok(()) => return Some(Turn(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PAUSE),
                // Too long, or a file system that locks nothing.
                Err(_) => return None,
            }
        }
    }

    /// For everything else: lets those go first who hold it, and holds up nobody.
    pub(crate) fn pass(&self) -> Option<Turn<'_>> {
        drop(self.hold());
        None
    }
}
