//! Where the lab keeps its files, and how they are written.

use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Where the lab keeps what belongs to a running lab: `target/lab`.
pub fn folder() -> PathBuf {
    harness::servers::repository().join("target/lab")
}

/// Makes [`folder`], for its owner only.
pub(crate) fn make_folder() -> Result<()> {
    let folder = folder();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("can't create {}", folder.display()))
}

/// Replaces a file that only its owner reads.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(content)?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// What outlives a lab and makes the next one quick.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let base = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) if !home.is_empty() => PathBuf::from(home).join(".cache"),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set: no place for a cache"),
    };
    Ok(base.join("multisig-operator/lab"))
}

/// This crate's folder with the node image's and the workload images' recipes.
pub(crate) fn source_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The state of the lab that is up.
pub(crate) fn file() -> PathBuf {
    folder().join("lab.json")
}

/// Held by whoever changes the lab; waits until no one else does.
pub(crate) fn lock() -> Result<fs::File> {
    let folder = cache_folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    let file = fs::File::create(folder.join("lock"))?;
    if file.try_lock().is_err() {
        eprintln!("lab: waiting for another lab command to end");
        file.lock()?;
    }
    Ok(file)
}
