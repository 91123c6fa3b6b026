//! Running the project's own commands, as a person would.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

/// Where the project's commands are.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Folder with `multisig`, `multisig-paper`, `app` and the rest.
    pub bin: PathBuf,
    /// helm.
    pub helm: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code 0.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The output as JSON, or an error that shows what was said instead.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON: {}{}", self.stdout, self.stderr))
    }
}

impl Commands {
    /// A command of the project, to be given arguments.
    pub fn command(&self, name: &str) -> Run {
        Run { name: name.to_owned(), command: Command::new(self.bin.join(name)), stdin: Vec::new() }
    }

    /// `multisig`.
    pub fn multisig(&self) -> Run {
        self.command("multisig")
    }

    /// `multisig-paper`.
    pub fn paper(&self) -> Run {
        self.command("multisig-paper")
    }
}

/// A command being put together.
#[derive(Debug)]
pub struct Run {
    name: String,
    command: Command,
    stdin: Vec<u8>,
}

impl Run {
    /// Words, split at spaces: for arguments without spaces in them.
    pub fn words(mut self, words: &str) -> Self {
        self.command.args(words.split_whitespace());
        self
    }

    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// An environment variable of this command alone.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What is typed in.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The folder it runs in.
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end, whatever that is.
    pub async fn output(mut self) -> Result<Output> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = self.command.spawn().with_context(|| format!("{} can't be started", self.name))?;
        let mut stdin = child.stdin.take().context("standard input is piped")?;
        // A command that refuses before it reads closes the pipe: that is its answer, not our failure.
        let _ = stdin.write_all(&self.stdin).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        Ok(Output {
            ok: output.status.success(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Runs it; an error unless it succeeded.
    pub async fn succeed(self) -> Result<Output> {
        let shown = format!("{:?}", self.command.as_std().get_args().collect::<Vec<_>>());
        let name = self.name.clone();
        let output = self.output().await?;
        if !output.ok {
            bail!("{name} {shown} failed:\n{}{}", output.stdout, output.stderr);
        }
        Ok(output)
    }

    /// Runs it; an error unless it refused with words that hold `why`. Returns what it said.
    pub async fn refuse(self, why: &str) -> Result<String> {
        let name = self.name.clone();
        let output = self.output().await?;
        if output.ok || !output.stderr.contains(why) {
            bail!("{name} should have refused with '{why}' but said:\n{}{}", output.stdout, output.stderr);
        }
        Ok(output.stderr.trim().to_owned())
    }
}
