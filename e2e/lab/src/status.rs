//! What of the lab answers now.

use serde::Serialize;

use crate::{cluster, servers, state::Lab};

/// One part of the lab.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Such as `multisig-hub` or `nats`.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// Whether it answers (Docker, clusters) or runs (servers).
    pub up: bool,
}

/// Asks every part.
pub async fn of(lab: &Lab) -> Vec<Part> {
    let address = lab.docker.host.clone().unwrap_or_else(|| "the user's Docker".to_owned());
    let mut parts = vec![Part { name: "docker".to_owned(), address, up: lab.docker.answers().await }];
    for cluster in lab.clusters() {
        let (name, address) = (cluster.name.clone(), cluster.server.clone());
        parts.push(Part { name, address, up: cluster::answers(cluster).await });
    }
    for (number, (name, server)) in servers::VAULTS.into_iter().zip(&lab.servers.vaults).enumerate() {
        let up = lab.vault(number).await.is_ok_and(|vault| vault.runs());
        parts.push(Part { name: name.to_owned(), address: server.address.clone(), up });
    }
    let up = lab.nats().await.is_ok_and(|nats| nats.runs());
    parts.push(Part { name: "nats".to_owned(), address: lab.servers.nats.url.clone(), up });
    let up = lab.anvil().await.is_ok_and(|anvil| anvil.runs());
    parts.push(Part { name: "anvil".to_owned(), address: lab.servers.anvil.loopback_url.clone(), up });
    parts
}
