//! What suites have in common: saying how far they are, and that an attack which could not be made does not count as held.

use std::cell::RefCell;

use anyhow::{Result, bail};

use crate::report::{self, Row, Suite};

/// Progress of a suite, on standard error.
pub(crate) struct Progress {
    suite: Suite,
    attacks: usize,
    begun: RefCell<usize>,
    failed: RefCell<Vec<String>>,
}

impl Progress {
    /// Of so many attacks.
    pub(crate) fn new(suite: Suite, attacks: usize) -> Self {
        eprintln!("{suite}: starting the servers");
        Self { suite, attacks, begun: RefCell::default(), failed: RefCell::default() }
    }

    /// The next begins.
    pub(crate) fn attack(&self, name: &str) {
        *self.begun.borrow_mut() += 1;
        eprintln!("{}: attack {} of {}: {name}", self.suite, self.begun.borrow(), self.attacks);
    }

    /// What it came to; an attack that could not be made is remembered.
    pub(crate) fn outcome<T>(&self, name: &str, outcome: Result<T>) -> Option<T> {
        outcome
            .inspect_err(|error| {
                eprintln!("{}: '{name}' failed: {error:#}", self.suite);
                self.failed.borrow_mut().push(name.to_owned());
            })
            .ok()
    }

    /// The rows, if every attack was made.
    pub(crate) fn end(self, rows: Vec<Row>) -> Result<Vec<Row>> {
        let failed = self.failed.into_inner();
        if !failed.is_empty() {
            report::print(&rows);
            bail!("{} of {} attacks could not be made: {}", failed.len(), self.attacks, failed.join("; "));
        }
        Ok(rows)
    }
}
