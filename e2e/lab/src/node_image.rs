//! The image of the kind nodes: the stock one where it can be pulled, else our own.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{docker::Docker, host, paths, run::Run};

/// Of kind v0.33.0's release notes, which name the images that this kind supports.
const STOCK: &str = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d";
/// About 400 MB on a usual line; without a network it fails at once.
const PULL_TIMEOUT: Duration = Duration::from_secs(300);
/// Debian, the control plane's images and the node's, with a cold cache and a busy machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(1800);

/// A node image that is in the daemon.
pub(crate) struct NodeImage {
    /// Its name.
    pub(crate) name: String,
    /// Built here: needs our network plug-in configuration and the cgroupfs driver.
    pub(crate) ours: bool,
}

/// Gets or makes it.
pub(crate) async fn ensure(docker: &Docker) -> Result<NodeImage> {
    // Nodes of a restricted daemon need the runc wrapper inside, which the stock image lacks.
    if !docker.is_restricted()? && has_stock(docker).await {
        return Ok(NodeImage { name: STOCK.to_owned(), ours: false });
    }
    ensure!(
        host::is_root(),
        "the kind node image can't be pulled, and only root can build one: run this as root, or with a registry in reach"
    );
    host::install(&[("mmdebstrap", "mmdebstrap")]).await?;
    let build = Run::new(paths::source_folder().join("node-image/build")).timeout(BUILD_TIMEOUT).show_progress();
    Ok(NodeImage { name: docker.environment(build).text().await?, ours: true })
}

async fn has_stock(docker: &Docker) -> bool {
    docker.run(["image", "inspect", STOCK]).succeeds().await
        || docker.run(["pull", "--quiet", STOCK]).timeout(PULL_TIMEOUT).succeeds().await
}
