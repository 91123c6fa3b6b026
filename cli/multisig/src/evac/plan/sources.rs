//! Whose wallets: exports of signers and App's database, compared and merged.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use chain::ChainId;
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::{Difference, EvacuationError, Merged, RosterError, Sources, WalletsExport};

use super::{app, assets::Listed, wrong_file};
use crate::failure::bad_input;

/// How a SQLite database begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// How a sealed backup of App begins.
const SEALED: &[u8] = br#"{"format":"multisig-backup""#;
/// Differences that are shown.
pub(super) const SHOWN: usize = 20;
/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// All wallets on a chain, and what the signers' local policies list there.
pub(super) fn merge(
    files: &[PathBuf],
    chain: &ChainId,
    manifest: &VerifiedManifest,
    adapters: &Adapters,
) -> Result<(Merged, Vec<Listed>)> {
    let (mut sources, mut policies) = (Sources::new(chain, manifest, adapters), Vec::new());
    for path in files {
        if files.iter().filter(|other| *other == path).count() > 1 {
            bail!(bad_input(format!("--wallets {}: it is named twice", path.display())));
        }
        sources.file(&path.display().to_string());
        policies.extend(source(path, &mut sources, chain, manifest)?);
    }
    match sources.merge() {
        Ok(merged) => {
            tell(&merged.differences);
            Ok((merged, policies))
        }
        Err(error) => {
            if let RosterError::Contradiction(differences) = &error {
                tell(differences);
            }
            Err(bad_input(error.to_string()))
        }
    }
}

/// What one of them lists.
fn source(path: &Path, sources: &mut Sources<'_>, chain: &ChainId, manifest: &VerifiedManifest) -> Result<Vec<Listed>> {
    let cannot_read = |error| bad_input(format!("cannot read {}: {error}", path.display()));
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(cannot_read)?);
    let begun = file.fill_buf().map_err(cannot_read)?;
    if begun.starts_with(SQLITE) {
        app::read(path, sources, manifest)?;
        return Ok(Vec::new());
    }
    if begun.starts_with(SEALED) {
        let why = "this backup of App is sealed, and holds more than its wallets; open it with `app restore` where its \
                   phrase may be typed, and name the app.sqlite in it";
        return Err(wrong_file(path, &why));
    }
    text_file::skip_mark(&mut file).map_err(cannot_read)?;
    // A file is refused as what it is before one of its wallets is.
    let mut refused = None;
    let header = WalletsExport::read(file, |record| {
        if refused.is_none() {
            refused = sources.record(&record).err();
        }
        Ok(())
    });
    let header = header.map_err(|error: EvacuationError| wrong_file(path, &error))?;
    header.require(manifest).map_err(|error| wrong_file(path, &error))?;
    if let Some(error) = refused {
        return Err(wrong_file(path, &error));
    }
    let by = path.display().to_string();
    Ok(header.assets_on(chain).into_iter().map(|asset| Listed { asset, by: by.clone() }).collect())
}

/// Each difference, as far as a person reads.
fn tell(differences: &[Difference]) {
    for difference in differences.iter().take(SHOWN) {
        eprintln!("{difference}");
    }
    if differences.len() > SHOWN {
        eprintln!("and {} more wallets differ", differences.len() - SHOWN);
    }
}
