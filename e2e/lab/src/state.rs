//! What is up and where, in `target/lab/lab.json`.

use std::{collections::BTreeMap, fs, net::Ipv4Addr, path::PathBuf};

use anyhow::{Context, Result, bail};
use harness::{evm::Anvil, nats::Nats, vault::Vault};
use serde::{Deserialize, Serialize};

use crate::{cluster::Cluster, docker::Docker, paths, servers::Servers};

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
        let path = paths::file();
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
        paths::make_folder()?;
        paths::write_private(&paths::file(), &serde_json::to_vec_pretty(self)?)
    }

    /// Hub, Keeper's and Cooler's data centre.
    pub fn clusters(&self) -> [&Cluster; 3] {
        [&self.hub, &self.dc_a, &self.dc_b]
    }

    /// Vault of data centre A (0) or B (1), to be stopped and started.
    pub async fn vault(&self, data_center: usize) -> Result<Vault> {
        let server = self.servers.vaults.get(data_center).context("there are two Vaults, 0 and 1")?;
        Vault::open(&server.folder).await
    }

    /// The broker, to be stopped and started.
    pub async fn nats(&self) -> Result<Nats> {
        Nats::open(&self.servers.nats.folder).await
    }

    /// The EVM node: funds accounts, tells balances.
    pub async fn anvil(&self) -> Result<Anvil> {
        Anvil::open(&self.servers.anvil.folder).await
    }

    /// Stops the broker; its keys, accounts and port stay.
    pub async fn stop_nats(&self) -> Result<()> {
        self.nats().await?.stop().await;
        Ok(())
    }

    /// Starts the broker again.
    pub async fn start_nats(&self) -> Result<()> {
        self.nats().await?.start_again().await
    }

    /// Addresses of both Vaults, the broker and the EVM node, as pods use them.
    pub fn server_urls(&self) -> [&str; 4] {
        let Servers { vaults: [keepers, coolers], nats, anvil } = &self.servers;
        [&keepers.address, &coolers.address, &nats.url, &anvil.url]
    }
}

/// An image that is in its clusters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// For a pod: `docker.io/local/NAME@sha256:...`.
    pub reference: String,
    /// All its files, bytes.
    pub size: u64,
}
