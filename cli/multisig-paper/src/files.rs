//! Files: read whole, written whole or not at all.

use std::{
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use custody::manifest::{SignedManifest, VerifiedManifest};
use tempfile::NamedTempFile;

/// A file that appears under its name when it is complete.
pub(crate) struct NewFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Refuses a name that exists and a folder that cannot be written, before any work is done.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            bail!("{} already exists; move it away or choose another --out", path.display());
        }
        Ok(Self { temporary: temporary_beside(path)?, path: path.to_owned() })
    }

    /// Writes `text` and gives the file its name, unless somebody else took it meanwhile.
    pub(crate) fn finish(mut self, text: &str) -> Result<()> {
        write(&mut self.temporary, text).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.temporary
            .persist_noclobber(&self.path)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot create {}", self.path.display()))?;
        Ok(())
    }
}

/// Replaces a file's content in one step.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let mut temporary = temporary_beside(path)?;
    write(&mut temporary, text).with_context(|| format!("cannot write {}", path.display()))?;
    temporary
        .persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("cannot replace {}", path.display()))?;
    Ok(())
}

/// The whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    text_file::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A manifest that may lack signatures.
pub(crate) fn manifest(path: &Path) -> Result<SignedManifest> {
    SignedManifest::parse(&read(path)?).with_context(|| path.display().to_string())
}

/// A manifest that both stations have signed.
pub(crate) fn verified_manifest(path: &Path) -> Result<VerifiedManifest> {
    manifest(path)?.verify().with_context(|| path.display().to_string())
}

/// Public: everybody may read it.
fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(|| format!("cannot write in folder {}", folder.display()))
}

fn write(file: &mut NamedTempFile, text: &str) -> std::io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()
}
