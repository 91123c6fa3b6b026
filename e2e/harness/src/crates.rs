//! Which crates a package links, for tests that keep the network or the host out of one.

use std::{ffi::OsString, process::Command};

use anyhow::{Context, Result, ensure};

/// The names of all crates that `package` of this workspace links, its own among them; not what only its tests and build
/// scripts use. By `cargo tree`, offline.
pub fn linked(package: &str) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let tree = Command::new(cargo)
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("can't run cargo")?;
    ensure!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout)?;
    Ok(tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}
