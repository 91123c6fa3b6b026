//! `multisig audit ...`: reads the signers' exported audit chains. It needs no network and no rights: an export holds
//! nothing secret, and anyone who has it can check it.

mod compare;
mod verify;

use std::{
    fmt,
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Result;
use audit::{AuditError, Export};
use clap::Subcommand;
use jiff::Timestamp;

use crate::{failure::bad_input, output::Output};

/// Exported audit chains.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Find removed, changed, inserted or reordered records, forks and rolled-back chains
    Verify(verify::VerifyArgs),
    /// Compare Keeper's and Cooler's chains: which signatures did only one of them make?
    Compare(compare::CompareArgs),
}

/// Runs the command; the result is printed in the form of `output`.
pub(crate) fn run(command: AuditCommand, output: Output) -> Result<()> {
    match command {
        AuditCommand::Verify(args) => verify::run(args, output),
        AuditCommand::Compare(args) => compare::run(args, output),
    }
}

/// An export and the file it came from.
struct Exported {
    file: PathBuf,
    export: Export,
}

impl Exported {
    fn read(file: PathBuf) -> Result<Self> {
        let export = audit::read(open(&file)?).map_err(|error| unusable(&file, &error))?;
        Ok(Self { file, export })
    }
}

fn open(file: &Path) -> Result<BufReader<File>> {
    let unread = |error: io::Error| bad_input(format!("cannot read {}: {error}", file.display()));
    let mut opened = BufReader::new(File::open(file).map_err(unread)?);
    text_file::skip_mark(&mut opened).map_err(unread)?;
    Ok(opened)
}

fn unusable(file: &Path, error: &AuditError) -> anyhow::Error {
    bad_input(format!("{}: {error}", file.display()))
}

/// Unix milliseconds, for people.
struct At(u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            Some(at) => at.fmt(f),
            None => write!(f, "{} ms", self.0),
        }
    }
}
