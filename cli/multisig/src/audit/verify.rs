//! `multisig audit verify`: one export for itself, against heads that were published earlier, and against other exports
//! of the same signer.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use audit::{Broken, Export, Head, Header, Verified};
use clap::Args;
use custody::identity::PeerKeys;
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;

use super::{At, Exported, open, unusable};
use crate::{failure::bad_input, output::Output};

/// Exports and what else is known of their signer.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Exports of one signer; given several, forks between them are found too
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A head that the signer published earlier: the first line of an export, or the export itself; may be repeated
    #[arg(long = "head", value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// The signer's approved message key, 64 hex digits; it must have attested every file and head; may be repeated
    #[arg(long = "key", value_name = "HEX", value_parser = key)]
    keys: Vec<VerifyingKey>,
}

/// What was found of all files.
#[derive(Debug, Serialize)]
struct Report {
    files: Vec<Checked>,
    forks: Vec<Fork>,
}

/// What was found of one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: PathBuf,
    role: String,
    custody_id: String,
    /// If it is whole.
    verified: Option<Verified>,
    /// The key that attested a head of it, 64 hex digits.
    attested_by: Option<String>,
    /// If it is not.
    broken: Option<Broken>,
}

/// Two files that tell two stories.
#[derive(Debug, Serialize)]
struct Fork {
    a: PathBuf,
    b: PathBuf,
    /// The first record in which they differ.
    seq: u64,
}

pub(super) fn run(args: VerifyArgs, output: Output) -> Result<()> {
    let exports = args.files.into_iter().map(Exported::read).collect::<Result<Vec<_>>>()?;
    let Some(first) = exports.first() else { return Err(bad_input("no file to verify")) };
    for other in &exports {
        same_signer(&other.file, &other.export.header, &first.export.header)?;
    }
    let anchors = anchors(&args.heads, &first.export.header, &args.keys)?;
    let files = exports.iter().map(|exported| check(exported, &anchors, &args.keys)).collect::<Result<_>>()?;
    let report = Report { files, forks: forks(&exports) };
    output.print(&report)?;
    report.findings().next().map_or(Ok(()), |finding| Err(anyhow!(finding)))
}

/// Every published head, and of each also the one that the signer attested.
fn anchors(files: &[PathBuf], signer: &Header, keys: &[VerifyingKey]) -> Result<Vec<Head>> {
    let mut anchors = Vec::new();
    for file in files {
        let header = audit::read_header(open(file)?).map_err(|error| unusable(file, &error))?;
        same_signer(file, &header, signer)?;
        anchors.extend(attested(file, &header, keys)?);
        anchors.push(header.head);
    }
    Ok(anchors)
}

fn check(exported: &Exported, anchors: &[Head], keys: &[VerifyingKey]) -> Result<Checked> {
    let Exported { file, export: Export { header, .. } } = exported;
    let anchors: Vec<_> = anchors.iter().copied().chain(attested(file, header, keys)?).collect();
    let (verified, broken) = match audit::verify(&exported.export, &anchors) {
        Ok(verified) => (Some(verified), None),
        Err(broken) => (None, Some(broken)),
    };
    Ok(Checked {
        file: file.clone(),
        role: header.role.clone(),
        custody_id: HEXLOWER.encode(&header.custody_id),
        verified,
        attested_by: header.attestation.as_ref().map(|attestation| HEXLOWER.encode(&attestation.signer)),
        broken,
    })
}

fn attested(file: &Path, header: &Header, keys: &[VerifyingKey]) -> Result<Option<Head>> {
    audit::attested(header, keys).map_err(|error| anyhow!("{}: {error}", file.display()))
}

/// A custody id may be missing in what is older than the custody.
fn same_signer(file: &Path, header: &Header, signer: &Header) -> Result<()> {
    let (one, other) = (&header.custody_id, &signer.custody_id);
    if header.role == signer.role && (one == other || one.is_empty() || other.is_empty()) {
        return Ok(());
    }
    Err(bad_input(format!("{} belongs to another signer or custody; verify one signer at a time", file.display())))
}

fn forks(exports: &[Exported]) -> Vec<Fork> {
    let mut forks = Vec::new();
    for (at, a) in exports.iter().enumerate() {
        for b in &exports[at + 1..] {
            let seq = audit::fork(&a.export, &b.export);
            forks.extend(seq.map(|seq| Fork { a: a.file.clone(), b: b.file.clone(), seq }));
        }
    }
    forks
}

fn key(text: &str) -> Result<VerifyingKey, String> {
    let keys = PeerKeys { message_key: text.to_owned(), xkey: String::new() };
    custody::identity::message_key(&keys)
        .map_err(|_| "expected an ed25519 public key, 64 lower-case hex digits".to_owned())
}

impl Report {
    /// One line each, the worst first.
    fn findings(&self) -> impl Iterator<Item = String> {
        let broken = self.files.iter().filter_map(|file| Some((&file.file, file.broken.as_ref()?)));
        let broken = broken.map(|(file, broken)| format!("{}: {broken}", file.display()));
        broken.chain(self.forks.iter().map(Fork::to_string))
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a, b, seq } = self;
        write!(f, "{} and {} fork: they differ from record {seq} on", a.display(), b.display())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| write!(f, "{file}"))?;
        self.forks.iter().try_for_each(|fork| writeln!(f, "{fork}"))
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, role, custody_id, verified, attested_by, broken } = self;
        writeln!(f, "{}: {role} of custody {custody_id}", file.display())?;
        if let Some(broken) = broken {
            writeln!(f, "  BROKEN: {broken}")?;
        }
        if let Some(Verified { head, first_at_ms, last_at_ms, decisions }) = verified {
            writeln!(f, "  whole: {} record(s), head {}", head.count, HEXLOWER.encode(&head.hash))?;
            if let (Some(first), Some(last)) = (first_at_ms, last_at_ms) {
                writeln!(f, "  from {} to {}", At(*first), At(*last))?;
            }
            for (decision, count) in decisions {
                writeln!(f, "  {decision}: {count}")?;
            }
        }
        match attested_by {
            Some(key) => writeln!(f, "  a head is attested by message key {key}"),
            None => writeln!(f, "  no head is attested"),
        }
    }
}
