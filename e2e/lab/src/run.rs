//! Commands with a time limit, and errors that show what was run and what it said.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncWriteExt, process::Command};

/// For commands that only ask something.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a command line that an error shows.
const SHOWN: usize = 160;
/// Lines of a command's complaint that an error shows.
const COMPLAINT_LINES: usize = 15;

/// A command to run to its end.
pub struct Run {
    command: Command,
    shown: String,
    timeout: Duration,
    input: Vec<u8>,
}

impl Run {
    /// Runs `program`, for 30 seconds at most.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let shown = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, shown, timeout: TIMEOUT, input: Vec::new() }
    }

    /// With these arguments, too.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.shown.push(' ');
            self.shown.push_str(&arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    /// With this variable in the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In this folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// With this on its standard input. Never shown.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self.command.stdin(Stdio::piped());
        self
    }

    /// With this file as its standard input.
    pub fn input_file(mut self, file: std::fs::File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Gives up after this long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Shows its standard error as it comes.
    pub fn show_progress(mut self) -> Self {
        self.command.stderr(Stdio::inherit());
        self
    }

    /// Its output, whatever its exit code. Killed when its time is over.
    pub async fn output(mut self) -> Result<Output> {
        let mut child = self.command.spawn().with_context(|| format!("can't run `{}`", shorten(&self.shown)))?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command may end without reading all; its exit code tells whether that was right.
                let _ = stdin.write_all(&self.input).await;
            }
        };
        let work = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(self.timeout, work).await;
        let output =
            output.with_context(|| format!("`{}` took over {} s", shorten(&self.shown), self.timeout.as_secs()))?;
        Ok(output?)
    }

    /// Its standard output; a failure shows the end of its standard error.
    pub async fn bytes(self) -> Result<Vec<u8>> {
        let shown = shorten(&self.shown);
        let output = self.output().await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let said = String::from_utf8_lossy(said);
        let lines: Vec<&str> = said.trim().lines().collect();
        let end = lines[lines.len().saturating_sub(COMPLAINT_LINES)..].join("\n");
        bail!("`{shown}` failed ({}): {end}", output.status)
    }

    /// Its standard output as text, without white space at the ends.
    pub async fn text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).trim().to_owned())
    }

    /// Runs it for its effect.
    pub async fn done(self) -> Result<()> {
        self.bytes().await.map(drop)
    }

    /// Whether it succeeds.
    pub async fn succeeds(self) -> bool {
        self.output().await.is_ok_and(|output| output.status.success())
    }
}

fn shorten(text: &str) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn input_reaches_the_command_and_its_output_comes_back() {
        assert_eq!(shell("cat; echo .").input("in").text().await.unwrap(), "in.");
    }

    #[tokio::test]
    async fn an_error_names_the_command_and_shows_what_it_said() {
        let error = shell("echo because >&2; exit 3").done().await.unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("because") && error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_ended() {
        let error = shell("sleep 60").timeout(Duration::from_millis(50)).done().await.unwrap_err().to_string();
        assert!(error.contains("took over"), "{error}");
    }
}
