//! What tests use from npm: anvil and the compiled Safe contracts, as pinned by `e2e/node/package-lock.json`.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::servers::repository;

/// The `node_modules` folder, installed by `npm ci` where missing into the user's cache, keyed by the lock's content.
pub fn modules() -> Result<PathBuf> {
    let source = repository().join("e2e/node");
    let files = ["package.json", "package-lock.json"];
    let mut digest = Sha256::new();
    for file in files {
        digest.update(fs::read(source.join(file)).with_context(|| format!("can't read e2e/node/{file}"))?);
    }
    let key = HEXLOWER.encode(&digest.finalize()[..8]);
    let cache = cache_folder()?;
    let folder = cache.join(format!("node-{key}"));
    if folder.exists() {
        return Ok(folder.join("node_modules"));
    }

    fs::create_dir_all(&cache)?;
    let lock = fs::File::create(cache.join("node.lock"))?;
    lock.lock()?;
    if folder.exists() {
        return Ok(folder.join("node_modules"));
    }
    eprintln!("node: installing anvil and the Safe contracts (once)");
    let partial = cache.join(format!("node-{key}.partial"));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    for file in files {
        fs::copy(source.join(file), partial.join(file))?;
    }
    // No install scripts: the packages are data and a binary. Peers (ethers) would only be used from JavaScript.
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"])
        .current_dir(&partial)
        .stdin(Stdio::null())
        .output()
        .context("can't run npm: install Node.js 20 or newer")?;
    ensure!(output.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&partial, &folder)?;
    Ok(folder.join("node_modules"))
}

fn cache_folder() -> Result<PathBuf> {
    let base = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) if !home.is_empty() => PathBuf::from(home).join(".cache"),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set: no place for a cache"),
    };
    Ok(base.join("multisig-operator"))
}
