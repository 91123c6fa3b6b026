//! What is up and where, in `target/lab/lab.json`.

use std::{
    collections::BTreeMap,
    env, fs,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{cluster::Cluster, docker::Docker, images::Image, servers::Servers};

/// A lab that is up: its clusters, the servers beside them and the images that were loaded.
///
/// Clusters and servers see each other by address: nodes and the gateway are on one Docker network, pods reach it
/// through their node, the host owns the gateway's address.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// The daemon in which the nodes run.
    pub docker: Docker,
    /// The host's address on the nodes' network, where the servers listen.
    pub gateway: Ipv4Addr,
    /// Where the operator runs.
    pub hub: Cluster,
    /// Keeper's data centre.
    pub dc_a: Cluster,
    /// Cooler's data centre.
    pub dc_b: Cluster,
    /// Beside the clusters.
    pub servers: Servers,
    /// By workload, as loaded by [`crate::images::load`].
    pub images: BTreeMap<String, Image>,
    /// The `kubectl` of the clusters' version.
    pub kubectl: PathBuf,
}

impl Lab {
    /// The lab that `up` left. It may have been damaged since: nodes and servers can be stopped.
    pub fn load() -> Result<Self> {
        let path = file();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("the lab is not up: run `make lab-up`")
            }
            read => read.with_context(|| format!("can't read {}", path.display()))?,
        };
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is of another version of the lab: run `make lab-down lab-up`", path.display()))
    }

    /// Replaces the file at once; only its owner reads it, since it holds root tokens.
    pub fn save(&self) -> Result<()> {
        make_folder()?;
        write_private(&file(), &serde_json::to_vec_pretty(self)?)
    }

    /// Hub, Keeper's and Cooler's data centre.
    pub fn clusters(&self) -> [&Cluster; 3] {
        [&self.hub, &self.dc_a, &self.dc_b]
    }
}

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

fn file() -> PathBuf {
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
