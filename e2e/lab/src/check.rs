//! Proof that the lab does what the clusters' users rely on, made by pods that are as restricted as the workloads.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::{
    cluster::{self, Cluster},
    images::{self, PROBE},
    progress::step,
    state::Lab,
    volumes::{self, STORAGE_CLASS},
};

/// Namespace of the check's pods, removed again.
const NAMESPACE: &str = "lab-check";
/// For a pod: scheduling, start and the probe's own deadlines.
const POD_TIMEOUT: Duration = Duration::from_secs(180);
/// For removing the namespace with all that is in it.
const DELETE_TIMEOUT: Duration = Duration::from_secs(120);

/// In every cluster a non-root pod with a read-only root writes its volume, resolves a name and reaches what its
/// workloads need: the hub the other clusters' API servers, and every Vault, NATS and the EVM node. Returns a line
/// for each.
pub async fn run(lab: &mut Lab) -> Result<Vec<String>> {
    images::load(lab, &[PROBE]).await?;
    let lab = &*lab;
    let image = &lab.images.get(PROBE.name).context("the probe's image is not loaded")?.reference;
    let checks = lab.clusters().into_iter().map(|cluster| {
        let what = format!("checking volume, names and network in {}", cluster.name);
        async move { step(&what, check(lab, cluster, image)).await }
    });
    Ok(try_join_all(checks).await?.into_iter().flatten().collect())
}

async fn check(lab: &Lab, cluster: &Cluster, image: &str) -> Result<Vec<String>> {
    remove(lab, cluster).await?;
    apply(cluster, &objects(image, &probe_args(lab, cluster))).await?;
    let result = wait_for_end(cluster).await;
    let log = cluster::kubectl(cluster)?.args(["--namespace", NAMESPACE, "logs", "probe"]).text().await;
    let phase = result.with_context(|| format!("the probe's log: {}", log.as_deref().unwrap_or("none")))?;
    let log = log?;
    ensure!(phase == "Succeeded", "the probe ended as {phase}:\n{log}");
    remove(lab, cluster).await?;
    Ok(log.lines().map(|line| format!("{}: {line}", cluster.name)).collect())
}

fn probe_args(lab: &Lab, cluster: &Cluster) -> Vec<String> {
    let mut args = ["write", "/data/probe", "resolve", "kubernetes.default.svc"].map(str::to_owned).to_vec();
    let mut urls = lab.server_urls().to_vec();
    if cluster.name == lab.hub.name {
        urls.extend([&lab.dc_a, &lab.dc_b].map(|other| other.server.as_str()));
    }
    let asked = urls.into_iter().filter_map(|url| url.split_once("://"));
    let asked = asked.map(|(scheme, address)| [if scheme == "http" { "http" } else { "tls" }, address]);
    args.extend(asked.flatten().map(str::to_owned));
    args
}

fn objects(image: &str, args: &[String]) -> Value {
    let meta = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta("data"), "spec": {
            "storageClassName": STORAGE_CLASS, "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta("probe"), "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "probe", "image": image, "args": args,
                "securityContext": {
                    "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        }},
    ]})
}

async fn apply(cluster: &Cluster, objects: &Value) -> Result<()> {
    // A namespace's default ServiceAccount comes a moment after it, and pods are refused without.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let apply = cluster::kubectl(cluster)?.args(["apply", "--server-side", "--filename=-"]);
        match apply.input(objects.to_string()).done().await {
            Err(error) if tokio::time::Instant::now() < deadline && error.to_string().contains("serviceaccount") => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            result => return result,
        }
    }
}

/// The pod's phase when it has ended.
async fn wait_for_end(cluster: &Cluster) -> Result<String> {
    let deadline = tokio::time::Instant::now() + POD_TIMEOUT;
    loop {
        let get = ["--namespace", NAMESPACE, "get", "pod", "probe", "--output=jsonpath={.status.phase}"];
        let phase = cluster::kubectl(cluster)?.args(get).text().await?;
        if matches!(phase.as_str(), "Succeeded" | "Failed") {
            return Ok(phase);
        }
        if tokio::time::Instant::now() > deadline {
            let describe = ["--namespace", NAMESPACE, "describe", "pod", "probe"];
            let described = cluster::kubectl(cluster)?.args(describe).text().await?;
            anyhow::bail!("the probe has not ended after {} s:\n{described}", POD_TIMEOUT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Removes the check's namespace and gives its volume back.
async fn remove(lab: &Lab, cluster: &Cluster) -> Result<()> {
    let delete = ["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait"];
    cluster::kubectl(cluster)?.args(delete).timeout(DELETE_TIMEOUT).done().await?;
    volumes::ensure(&lab.docker, cluster).await
}
