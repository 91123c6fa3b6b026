//! `evac sign`, at both signers.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use custody::{Role, manifest::SignedManifest};
use workload::{place::Place, telemetry};

use super::{CommandError, Form, block_on, print};
use crate::admin::{self, Out};

#[derive(Debug, Subcommand)]
pub(super) enum Evac {
    /// Sign a plan by this signer's keys, also while it is locked or frozen: hot at Keeper, cool at Cooler. Written is the
    /// signature file of a plan of version 2 (`multisig evac plan --ladder`), or at Cooler the signed bundle.
    ///
    /// Totals, destination, the largest wallets, and which wallets hot can't sign for are said on standard error. A plan of
    /// hot and cool is signed only if the local policy's evacuation.withoutPaper allows it.
    Sign(Sign),
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The plan; `-` is standard input.
    #[arg(default_value = "-")]
    plan: PathBuf,
    /// The manifest that people go by: refused unless it is the one that is pinned here.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where the signatures are written; never over a file that is there. FILE.part of a run that was stopped is gone on
    /// with [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(role: Role, place: &Place, form: Form, Evac::Sign(sign): Evac) -> Result<(), CommandError> {
    telemetry::for_command();
    let Sign { plan, manifest, out } = sign;
    let manifest = manifest.as_deref().map(manifest_in).transpose()?;
    let input: Box<dyn BufRead> = match plan.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(File::open(&plan).map_err(|cause| unreadable(&plan, cause))?)),
    };
    let target = match &out {
        Some(path) => Out::File(path.clone()),
        None => Out::Stream(BufWriter::new(io::stdout())),
    };
    let signed = block_on(admin::sign_evacuation(place, role, manifest, input, target))??;
    // Signatures on standard output leave it no room for anything else; a bundle shows by itself what it moves.
    match (&signed, form, out) {
        (Some(signed), Form::Text, _) => eprint!("{signed}"),
        (Some(signed), Form::Json, None) => eprintln!("{}", signed.to_json()),
        (Some(signed), Form::Json, Some(_)) => print(&format!("{}\n", signed.to_json()))?,
        (None, ..) => {}
    }
    Ok(())
}

/// A signed manifest, and what people call it.
fn manifest_in(path: &Path) -> Result<(String, SignedManifest), CommandError> {
    let bytes = text_file::read(path).map_err(|cause| unreadable(path, cause))?;
    let malformed = |error| unreadable(path, io::Error::new(io::ErrorKind::InvalidData, error));
    Ok((path.display().to_string(), SignedManifest::parse(&bytes).map_err(malformed)?))
}

fn unreadable(path: &Path, cause: io::Error) -> CommandError {
    CommandError::File { path: path.display().to_string(), cause }
}
