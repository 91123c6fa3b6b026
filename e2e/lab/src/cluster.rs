//! One kind cluster with a single node.

use std::{net::Ipv4Addr, path::PathBuf, sync::OnceLock, time::Duration};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{docker::Docker, network, node_image::NodeImage, paths, progress::step, run::Run};

/// Creating a cluster takes 20 s on an idle machine; three share two cores.
const CREATE_TIMEOUT: Duration = Duration::from_secs(400);
/// For what `kubectl` waits for.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// A node that was stopped answers within this, or is made anew.
const RESTART_TIMEOUT: Duration = Duration::from_secs(90);
/// systemd ends within seconds; Docker kills after ten.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Port of a node's API server.
const API_PORT: u16 = 6443;

/// A cluster and how to reach it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// kind's name for it, such as `multisig-hub`.
    pub name: String,
    /// Its node's container, which is also the Kubernetes node's name.
    pub node: String,
    /// The node's address on the lab's network. Kept when the node is stopped and started.
    pub node_ip: Ipv4Addr,
    /// Its API server as reached from this host and from pods of the other clusters: `https://NODE_IP:6443`. The
    /// certificate names the address.
    pub server: String,
    /// The cluster administrator's kubeconfig with that address, mode 0600.
    pub kubeconfig: PathBuf,
}

/// Makes the cluster unless it is there and answers, with its system pods running.
pub(crate) async fn ensure(docker: &Docker, image: &NodeImage, name: &str) -> Result<Cluster> {
    if let Some(cluster) = find(docker, image, name).await? {
        return Ok(cluster);
    }
    let created = create(docker, image, name);
    let cluster = step(&format!("creating the cluster {name}"), created).await?;
    step(&format!("waiting for the system pods of {name}"), wait_for_system(&cluster)).await?;
    Ok(cluster)
}

/// Stops the node like a machine that is switched off. Its address stays reserved for it.
pub(crate) async fn stop(docker: &Docker, cluster: &Cluster) -> Result<()> {
    if status(docker, &cluster.node).await?.as_deref() != Some("running") {
        return Ok(());
    }
    docker.run(["stop", &cluster.node]).timeout(STOP_TIMEOUT).done().await
}

/// Starts it again and waits until its API server and system pods are ready.
pub(crate) async fn start(docker: &Docker, cluster: &Cluster) -> Result<()> {
    if status(docker, &cluster.node).await?.as_deref() != Some("running") {
        // kubeadm wrote the address into certificates and manifests: the node must get it again, whoever starts first.
        let address = cluster.node_ip.to_string();
        docker.run(["network", "disconnect", network::NAME, &cluster.node]).done().await?;
        docker.run(["network", "connect", "--ip", &address, network::NAME, &cluster.node]).done().await?;
        docker.run(["start", &cluster.node]).timeout(STOP_TIMEOUT).done().await?;
    }
    answers_within(cluster, RESTART_TIMEOUT).await?;
    wait_for_system(cluster).await
}

/// Whether its API server is ready.
pub async fn answers(cluster: &Cluster) -> bool {
    let Ok(kubectl) = kubectl(cluster) else { return false };
    kubectl.args(["get", "--raw", "/readyz", "--request-timeout=3s"]).succeeds().await
}

/// A `kubectl` command with the administrator's rights.
pub fn kubectl(cluster: &Cluster) -> Result<Run> {
    Ok(Run::new(kubectl_program()?).args(["--kubeconfig".as_ref(), cluster.kubeconfig.as_os_str()]))
}

/// The `kubectl` of the clusters' version.
pub fn kubectl_program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(program.clone());
    }
    let program = harness::servers::path("kubernetes")?.join("kubectl");
    Ok(PROGRAM.get_or_init(|| program).clone())
}

/// Removes every node of a lab from this daemon, with its volumes.
pub(crate) async fn remove_all(docker: &Docker, names: &[&str]) -> Result<()> {
    for name in names {
        remove(docker, name).await?;
    }
    Ok(())
}

async fn remove(docker: &Docker, name: &str) -> Result<()> {
    let label = format!("label=io.x-k8s.kind.cluster={name}");
    let found = docker.run(["ps", "--all", "--quiet", "--filter", &label]).text().await?;
    for container in found.lines() {
        docker.run(["rm", "--force", "--volumes", container]).timeout(STOP_TIMEOUT).done().await?;
    }
    Ok(())
}

/// The cluster of an earlier run, started again where it was stopped; `None` when it has to be made (anew).
async fn find(docker: &Docker, image: &NodeImage, name: &str) -> Result<Option<Cluster>> {
    let node = node_name(name);
    let (Some(_), Some(cluster)) = (status(docker, &node).await?, read(name)) else { return Ok(None) };
    if docker.run(["inspect", "--format", "{{.Config.Image}}", &node]).text().await? != image.name {
        return Ok(None);
    }
    match step(&format!("starting {name}"), start(docker, &cluster)).await {
        Ok(()) => Ok(Some(cluster)),
        Err(error) => {
            eprintln!("lab: {name} is made anew: {error:#}");
            Ok(None)
        }
    }
}

async fn create(docker: &Docker, image: &NodeImage, name: &str) -> Result<Cluster> {
    remove(docker, name).await?;
    let kubeconfig = kubeconfig_file(name);
    let scratch = kubeconfig.with_extension("new");
    let kind = Run::new(harness::servers::path("kind")?.join("kind"))
        .args(["create", "cluster", "--name", name, "--image", &image.name, "--wait", "120s", "--config", "-"])
        .args(["--kubeconfig".as_ref(), scratch.as_os_str()])
        .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", network::NAME)
        .input(config(image))
        .timeout(CREATE_TIMEOUT);
    docker.environment(kind).done().await?;

    let node = node_name(name);
    // After a crash Docker would start the nodes in any order, and they would get each other's addresses.
    docker.run(["update", "--restart=no", &node]).done().await?;
    let format = format!("{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}", network::NAME);
    let address = docker.run(["inspect", "--format", &format, &node]).text().await?;
    let node_ip: Ipv4Addr = address.parse().with_context(|| format!("{node} has no address: {address:?}"))?;
    let server = format!("https://{node_ip}:{API_PORT}");
    let config = with_server(&std::fs::read_to_string(&scratch)?, &server);
    std::fs::remove_file(&scratch)?;
    let cluster = Cluster { name: name.to_owned(), node, node_ip, server, kubeconfig };
    // The kubeconfig says that the cluster was made to its end, so it comes last.
    paths::write_private(&cluster_file(name), &serde_json::to_vec_pretty(&cluster)?)?;
    paths::write_private(&cluster.kubeconfig, config.as_bytes())?;
    Ok(cluster)
}

/// kind's configuration. Our own image has its own network plug-in and a containerd with the cgroupfs driver.
fn config(image: &NodeImage) -> &'static str {
    if image.ours {
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking:\n  disableDefaultCNI: true\n\
         kubeadmConfigPatches:\n- |\n  kind: KubeletConfiguration\n  cgroupDriver: cgroupfs\n"
    } else {
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
    }
}

/// The kubeconfig with another server: kind names a port of 127.0.0.1, which pods can't reach.
fn with_server(kubeconfig: &str, server: &str) -> String {
    let replace = |line: &str| match line.find("server: https://") {
        Some(at) => format!("{}server: {server}\n", &line[..at]),
        None => format!("{line}\n"),
    };
    kubeconfig.lines().map(replace).collect()
}

async fn wait_for_system(cluster: &Cluster) -> Result<()> {
    let rollout = |what: &'static str| async move {
        let timeout = format!("--timeout={}s", READY_TIMEOUT.as_secs());
        let kubectl = kubectl(cluster)?.args(["--namespace=kube-system", "rollout", "status", what, &timeout]);
        kubectl.timeout(READY_TIMEOUT + Duration::from_secs(10)).done().await
    };
    rollout("daemonset/kube-proxy").await?;
    rollout("deployment/coredns").await
}

async fn answers_within(cluster: &Cluster, limit: Duration) -> Result<()> {
    let deadline = tokio::time::Instant::now() + limit;
    while !answers(cluster).await {
        if tokio::time::Instant::now() > deadline {
            bail!("the API server of {} does not answer within {} s", cluster.name, limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// The container's status, `None` where there is no such container.
async fn status(docker: &Docker, node: &str) -> Result<Option<String>> {
    let filter = format!("name=^{node}$");
    let state = docker.run(["ps", "--all", "--filter", &filter, "--format", "{{.State}}"]).text().await?;
    Ok(Some(state).filter(|state| !state.is_empty()))
}

fn read(name: &str) -> Option<Cluster> {
    let text = std::fs::read(cluster_file(name)).ok()?;
    let cluster: Cluster = serde_json::from_slice(&text).ok()?;
    cluster.kubeconfig.exists().then_some(cluster)
}

fn node_name(name: &str) -> String {
    format!("{name}-control-plane")
}

fn kubeconfig_file(name: &str) -> PathBuf {
    paths::folder().join(format!("{name}.kubeconfig"))
}

fn cluster_file(name: &str) -> PathBuf {
    paths::folder().join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_gets_the_nodes_address_and_keeps_the_rest() {
        let kubeconfig = "clusters:\n- cluster:\n    server: https://127.0.0.1:41234\n  name: a\n";
        let expected = "clusters:\n- cluster:\n    server: https://10.1.0.2:6443\n  name: a\n";
        assert_eq!(with_server(kubeconfig, "https://10.1.0.2:6443"), expected);
    }
}
