//! The lab: three kind clusters, two Vaults, NATS and an EVM node, up and down.
//!
//! [`up`] makes what is missing and [`down`] removes it all, also what a crash or a reboot left. [`Lab::load`] gives
//! the demo and tests a running lab.

pub mod check;
pub mod cluster;
pub mod docker;
mod host;
pub mod images;
mod network;
mod node_image;
mod paths;
mod processes;
mod progress;
pub mod run;
pub mod servers;
mod state;
pub mod status;
pub mod volumes;

use std::fs;

use anyhow::{Context, Result, ensure};

pub use paths::folder;
pub use state::Lab;

use crate::{cluster::Cluster, progress::step};

/// kind's names of the hub, Keeper's and Cooler's data centre.
const CLUSTERS: [&str; 3] = ["multisig-hub", "multisig-dc-a", "multisig-dc-b"];

/// Brings up what isn't up. A lab that is up is left as it is, with stopped nodes and servers started again.
pub async fn up() -> Result<Lab> {
    ensure!(cfg!(target_os = "linux"), "the lab needs Linux: its servers listen on an address of the nodes' network");
    let _alone = paths::lock()?;
    let docker = step("starting Docker", docker::up()).await?;
    step("getting the servers", built_servers()).await?;
    let image = step("getting the node image", node_image::ensure(&docker)).await?;
    let gateway = match network::find(&docker).await? {
        Some(gateway) => gateway,
        None => {
            // Of a lab whose network is gone; its addresses mean nothing any more.
            remove_state().await?;
            network::create(&docker).await?
        }
    };
    paths::make_folder()?;
    let images = Lab::load().map(|lab| lab.images).unwrap_or_default();

    let [hub, dc_a, dc_b] = CLUSTERS.map(async |name| {
        let cluster = cluster::ensure(&docker, &image, name).await?;
        volumes::ensure(&docker, &cluster).await?;
        anyhow::Ok(cluster)
    });
    let (servers, hub, dc_a, dc_b) = tokio::try_join!(servers::ensure(gateway), hub, dc_a, dc_b)?;
    let kubectl = cluster::kubectl_program()?;
    let lab = Lab { docker, gateway, hub, dc_a, dc_b, servers, images, kubectl };
    lab.save()?;
    Ok(lab)
}

/// Builds the servers that are missing, one after the other, before several steps ask for them at once.
async fn built_servers() -> Result<()> {
    let build = || {
        ["kubernetes", "kind", "vault", "nats-server"]
            .iter()
            .try_for_each(|name| harness::servers::path(name).map(drop))
    };
    tokio::task::spawn_blocking(build).await?
}

/// Removes clusters, servers, network, our own Docker daemon and all state. What made the lab quick to come up again
/// stays in the user's cache folder.
pub async fn down() -> Result<()> {
    let _alone = paths::lock()?;
    remove_state().await?;
    let daemons = step("looking for what is left", docker::all_with_leftovers()).await?;
    for docker in daemons {
        step("removing the clusters", cluster::remove_all(&docker, &CLUSTERS)).await?;
        network::remove(&docker).await?;
    }
    step("stopping Docker", docker::down()).await
}

impl Lab {
    /// Loads the state while no other lab command runs, and changes the lab by it.
    pub async fn exclusively<T>(work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _alone = paths::lock()?;
        work(&mut Self::load()?).await
    }

    /// Stops a part by its name in [`status`].
    pub async fn stop(&self, part: &str) -> Result<()> {
        match self.part(part)? {
            Part::Node(cluster) => self.stop_node(cluster).await?,
            Part::Vault(number) => self.vault(number).await?.stop().await,
            Part::Nats => self.stop_nats().await?,
            Part::Anvil => self.anvil().await?.stop().await,
        }
        Ok(())
    }

    /// Starts a part by its name in [`status`], and waits until it answers.
    pub async fn start(&self, part: &str) -> Result<()> {
        match self.part(part)? {
            Part::Node(cluster) => self.start_node(cluster).await,
            Part::Vault(number) => self.vault(number).await?.start_again().await,
            Part::Nats => self.start_nats().await,
            Part::Anvil => self.anvil().await?.start_again().await,
        }
    }

    fn part(&self, name: &str) -> Result<Part<'_>> {
        let node = || self.clusters().into_iter().find(|cluster| cluster.name == name).map(Part::Node);
        let vault = || servers::VAULTS.iter().position(|vault| *vault == name).map(Part::Vault);
        let other = || match name {
            "nats" => Some(Part::Nats),
            "anvil" => Some(Part::Anvil),
            _ => None,
        };
        node().or_else(vault).or_else(other).with_context(|| format!("no part is called {name}: see `lab status`"))
    }

    /// Switches a node off.
    pub async fn stop_node(&self, cluster: &Cluster) -> Result<()> {
        step(&format!("stopping {}", cluster.name), cluster::stop(&self.docker, cluster)).await
    }

    /// Switches a node on again and waits for its API server and system pods.
    pub async fn start_node(&self, cluster: &Cluster) -> Result<()> {
        step(&format!("starting {}", cluster.name), cluster::start(&self.docker, cluster)).await
    }

    /// Runs a command in a pod with `input` on its standard input, and returns its standard output.
    pub async fn exec(
        &self,
        cluster: &Cluster,
        namespace: &str,
        pod: &str,
        command: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let kubectl = cluster::kubectl(cluster)?.args(["--namespace", namespace, "exec", "--stdin", pod, "--"]);
        kubectl.args(command).input(input).bytes().await
    }
}

/// What can be stopped and started.
enum Part<'a> {
    Node(&'a Cluster),
    Vault(usize),
    Nats,
    Anvil,
}

async fn remove_state() -> Result<()> {
    servers::kill_all().await?;
    let folder = paths::folder();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
