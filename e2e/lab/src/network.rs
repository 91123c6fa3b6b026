//! The Docker network of the nodes. Its gateway is an address of the host, where the servers beside them listen.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::docker::Docker;

/// Its name; kind's own network, which may serve other clusters, is left alone.
pub(crate) const NAME: &str = "multisig-lab";

/// The gateway's address, `None` where there is no such network.
pub(crate) async fn find(docker: &Docker) -> Result<Option<Ipv4Addr>> {
    let found = docker.run(["network", "ls", "--quiet", "--filter", &format!("name=^{NAME}$")]).text().await?;
    if found.is_empty() {
        return Ok(None);
    }
    let address = ipam(docker, "Gateway").await?;
    address.parse().map(Some).with_context(|| format!("the network {NAME} has no gateway: {address:?}"))
}

/// Makes it and returns the gateway's address.
pub(crate) async fn create(docker: &Docker) -> Result<Ipv4Addr> {
    // Docker finds a free subnet, but pins addresses (which nodes must keep) only in one that was asked for.
    docker.run(["network", "create", NAME]).done().await?;
    let subnet = ipam(docker, "Subnet").await?;
    let gateway = first_address(&subnet).with_context(|| format!("Docker's subnet {subnet:?} is not IPv4"))?;
    docker.run(["network", "rm", NAME]).done().await?;
    docker.run(["network", "create", "--subnet", &subnet, "--gateway", &gateway.to_string(), NAME]).done().await?;
    Ok(gateway)
}

/// Removes it, if it is there.
pub(crate) async fn remove(docker: &Docker) -> Result<()> {
    if find(docker).await?.is_none() {
        return Ok(());
    }
    docker.run(["network", "rm", NAME]).done().await
}

async fn ipam(docker: &Docker, field: &str) -> Result<String> {
    let format = format!("{{{{(index .IPAM.Config 0).{field}}}}}");
    docker.run(["network", "inspect", "--format", &format, NAME]).text().await
}

fn first_address(subnet: &str) -> Option<Ipv4Addr> {
    let base: Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(Ipv4Addr::from(u32::from(base) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_the_subnets_first_address() {
        assert_eq!(first_address("172.18.0.0/16"), Some(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(first_address(""), None);
    }
}
