//! The second implementation of the protocol, `e2e/go-app`: an App in Go.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{run::Folder, servers::repository};

/// The program, built. Go keeps what it compiled, so that only the first time takes long.
pub struct GoApp {
    folder: Folder,
}

impl GoApp {
    /// Builds it.
    pub fn build() -> Result<Self> {
        let app = Self { folder: Folder::new("go-app", None)? };
        let output = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o"])
            .arg(app.binary())
            .arg(".")
            .current_dir(repository().join("e2e/go-app"))
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .output()
            .context("can't run go: install Go 1.26 or newer")?;
        ensure!(output.status.success(), "e2e/go-app does not build: {}", String::from_utf8_lossy(&output.stderr));
        Ok(app)
    }

    /// Runs it with these arguments until it ends; its standard error is shown.
    pub fn run<const N: usize>(&self, arguments: [&str; N]) -> Result<Output> {
        let mut command = Command::new(self.binary());
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.output().context("can't run the second implementation")
    }

    fn binary(&self) -> PathBuf {
        self.folder.path().join("go-app")
    }
}
