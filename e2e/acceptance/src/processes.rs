//! The project's own processes that no kubelet runs here: operator and App.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::process::{Running, Spec};

/// Folder of the workspace's binaries: two above the test's own (`target/debug/deps/TEST`).
pub(crate) fn binaries() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("a test has folders above it")?.to_owned();
    for name in ["multisig", "multisig-paper", "multisig-operator", "keeper", "cooler", "app"] {
        ensure!(folder.join(name).is_file(), "{name} is not built: run `cargo build --workspace` first");
    }
    Ok(folder)
}

/// A process of the project with its log; it dies with the test.
pub struct Process {
    spec: Spec,
    running: Option<Running>,
}

impl Process {
    /// Starts `program` with its log in `folder`.
    pub fn start(name: &str, program: &Path, folder: &Path, args: &[String]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let spec = Spec::new(name, program.to_owned(), folder).args(args.iter().cloned());
        let running = Some(Running::spawn(&spec)?);
        Ok(Self { spec, running })
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it again, after [`Self::kill`].
    pub fn start_again(&mut self) -> Result<()> {
        self.kill();
        self.running = Some(Running::spawn(&self.spec)?);
        Ok(())
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.running.as_ref().map(|running| running.id().pid())
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.spec.log_file()).unwrap_or_default()
    }
}
