//! The servers that `e2e/servers/build` builds from their Go modules.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The repository's root.
pub fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap_or(crate_folder).to_owned()
}

/// The folder with the binaries of `name` (`etcd`, `kubernetes`, `nats-server`, `vault`, ...). Built where missing,
/// which takes minutes the first time and says so on stderr.
pub fn path(name: &str) -> Result<PathBuf> {
    let build = repository().join("e2e/servers/build");
    let output = Command::new(&build)
        .args(["--path", name])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("can't run {}", build.display()))?;
    ensure!(output.status.success(), "e2e/servers/build --path {name} failed; its reason is above");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// [`path`] off the async runtime's threads, since it may build.
pub(crate) async fn built(name: &'static str) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || path(name)).await?
}
