//! The temporary folders of one test process, and the removal of what a killed one left.
//!
//! `TMPDIR/multisig-harness-UID/run-PID-STARTED/NAME-N`: a run is stale when no process with that id and start time
//! lives. Then the children whose pid files it holds are killed, and it is removed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{files, process::ProcessId};

/// A folder of a server, removed with its owner unless the owner was told where to live or its test failed.
pub struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// `path` where given, which is then kept, else a new temporary folder for `name`.
    pub fn new(name: &str, path: Option<PathBuf>) -> Result<Self> {
        match path {
            Some(path) => {
                files::create_private_folder(&path)?;
                Ok(Self { path: std::path::absolute(path)?, temporary: false })
            }
            None => temporary(name),
        }
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // After a panic the logs stay for people to read, until the next run.
        if self.temporary && !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what killed runs of this user left: their children and their folders.
pub fn clean() -> Result<()> {
    clean_root(&root()?)
}

fn temporary(name: &str) -> Result<Folder> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let path = run_folder()?.join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    files::create_private_folder(&path)?;
    Ok(Folder { path, temporary: true })
}

/// This run's folder. The first call cleans up after earlier runs.
fn run_folder() -> Result<&'static Path> {
    static RUN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let make = || {
        let root = root()?;
        clean_root(&root)?;
        let path = root.join(format!("run-{}", ProcessId::own()?.file_name()));
        files::create_private_folder(&path)?;
        anyhow::Ok(path)
    };
    let run = RUN.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    run.as_deref().map_err(|error| anyhow!("no folder for this run: {error}"))
}

fn root() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let root = std::env::temp_dir().join(format!("multisig-harness-{user}"));
    files::create_private_folder(&root)?;
    let owner = fs::symlink_metadata(&root)?.uid();
    ensure!(owner == user, "{} belongs to another user (uid {owner}): remove it", root.display());
    Ok(root)
}

fn clean_root(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).with_context(|| format!("can't list {}", root.display()))?.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| ProcessId::from_file_name(name.strip_prefix("run-")?));
        if owner.is_some_and(|owner| !owner.lives()) {
            kill_recorded(&entry.path());
            // Another run may be cleaning the same folder: whoever is second finds nothing.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Kills every process that a pid file below `folder` names and waits for its end.
fn kill_recorded(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_recorded(&path);
        } else if path.extension().is_some_and(|extension| extension == "pid")
            && let Some(process) = ProcessId::read(&path)
        {
            process.kill_and_wait();
        }
    }
}
