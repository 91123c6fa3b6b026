//! Static volumes on folders of a node, since no provisioner is there. Unlike kind's fallback class they honour
//! `fsGroup`.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    cluster::{self, Cluster},
    docker::Docker,
};

/// Class of the volumes.
pub const STORAGE_CLASS: &str = "lab-local";
/// Volumes of each cluster, free for claims in any namespace.
const COUNT: usize = 4;
/// Of each volume, as far as Kubernetes is told; nothing enforces it.
const CAPACITY: &str = "2Gi";

/// Makes the class and the volumes, and frees those whose claims are gone: their content is removed.
pub async fn ensure(docker: &Docker, cluster: &Cluster) -> Result<()> {
    let format = r#"jsonpath={range .items[?(@.status.phase=="Released")]}{.metadata.name}{"\n"}{end}"#;
    let released = cluster::kubectl(cluster)?.args(["get", "persistentvolumes", "--output", format]).text().await?;
    for volume in released.lines().filter(|name| name.starts_with(STORAGE_CLASS)) {
        cluster::kubectl(cluster)?.args(["delete", "persistentvolume", volume]).done().await?;
        docker.run(["exec", &cluster.node, "rm", "-rf", &folder(volume)]).done().await?;
    }

    let names: Vec<String> = (0..COUNT).map(|number| format!("{STORAGE_CLASS}-{number}")).collect();
    let mut mkdir = vec!["exec".to_owned(), cluster.node.clone(), "mkdir".to_owned(), "--parents".to_owned()];
    mkdir.extend(names.iter().map(|name| folder(name)));
    docker.run(mkdir).done().await?;

    let mut items = vec![json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    })];
    items.extend(names.iter().map(|name| volume(name, &cluster.node)));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    cluster::kubectl(cluster)?.args(["apply", "--server-side", "--filename=-"]).input(list.to_string()).done().await
}

fn folder(volume: &str) -> String {
    format!("/var/lib/lab/{volume}")
}

fn volume(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": CAPACITY}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": STORAGE_CLASS,
            "local": {"path": folder(name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]},
            ]}]}},
        },
    })
}
