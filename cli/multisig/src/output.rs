//! What people and machines read: results on standard output, progress on standard error.

use std::{
    fmt,
    io::{BufWriter, Write},
};

use anyhow::Result;
use serde::Serialize;

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON document, stable names.
    Json,
}

impl Output {
    /// Prints a result once, in the form asked for.
    pub(crate) fn print(self, result: &(impl Serialize + fmt::Display)) -> Result<()> {
        match self {
            Output::Text => println!("{}", result.to_string().trim_end()),
            Output::Json => {
                // As it is made: it may be too much for memory.
                let mut out = BufWriter::new(std::io::stdout().lock());
                serde_json::to_writer_pretty(&mut out, result)?;
                out.write_all(b"\n")?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// Numbered steps on standard error.
pub(crate) struct Steps {
    total: usize,
    done: usize,
}

impl Steps {
    /// So many are coming.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, done: 0 }
    }

    /// One is done, with this outcome.
    pub(crate) fn done(&mut self, step: &str, outcome: impl fmt::Display) {
        self.done += 1;
        eprintln!("[{}/{}] {step}: {outcome}", self.done, self.total);
    }

    /// A part of the next step is done.
    pub(crate) fn part(&self, part: &str, outcome: impl fmt::Display) {
        eprintln!("      {part}: {outcome}");
    }
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// Was not there.
    Created,
    /// Was there and differed.
    Updated,
    /// Was right already; nothing was written.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Unchanged => "unchanged",
        })
    }
}
