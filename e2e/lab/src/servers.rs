//! The servers beside the clusters: two Vaults, NATS and an EVM node, as processes of this host that listen on the
//! gateway's address.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Result;
use harness::{Options, evm::Anvil, nats::Nats, vault::Vault};
use serde::{Deserialize, Serialize};

use crate::{paths, processes, progress::step};

/// EIP-155 id of the lab's chain.
pub const CHAIN_ID: u64 = 31337;
/// Names of the Vaults, in the order of [`Servers::vaults`].
pub const VAULTS: [&str; 2] = ["vault-dc-a", "vault-dc-b"];
/// Programs of the servers.
const PROGRAMS: [&str; 3] = ["vault", "nats-server", "anvil"];

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// Keeper's (dc-a) and Cooler's (dc-b), in this order: they share nothing.
    pub vaults: [VaultServer; 2],
    /// The broker.
    pub nats: NatsServer,
    /// The chain.
    pub anvil: AnvilServer,
}

/// A Vault, initialised and unsealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultServer {
    /// `https://GATEWAY:PORT`.
    pub address: String,
    /// Its authority's certificate, PEM.
    pub ca_file: PathBuf,
    /// The token of that data centre's admin.
    pub root_token: String,
    /// Where it lives.
    pub folder: PathBuf,
}

/// The broker, in operator mode with a full resolver.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsServer {
    /// `tls://GATEWAY:PORT`; clients speak TLS first.
    pub url: String,
    /// Its authority's certificate, PEM.
    pub ca_file: PathBuf,
    /// Seed (`SO...`) of the key that signs accounts.
    pub operator_signing_seed: String,
    /// The system account's public key (`A...`).
    pub system_account: String,
    /// Text of a `.creds` file: the user of the system account that pushes accounts and may do nothing else.
    pub push_user_creds: String,
    /// Where it lives.
    pub folder: PathBuf,
}

/// The EVM node with the Safe contracts, plain HTTP.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnvilServer {
    /// For pods and the host: `http://GATEWAY:PORT`.
    pub url: String,
    /// For the host: `http://127.0.0.1:PORT`.
    pub loopback_url: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Where it lives.
    pub folder: PathBuf,
}

/// Starts those that don't run. Keys, data and ports of an earlier start are kept.
pub(crate) async fn ensure(gateway: Ipv4Addr) -> Result<Servers> {
    let (keepers, coolers, nats, anvil) = tokio::try_join!(
        step("starting the Vault of dc-a", vault(gateway, VAULTS[0])),
        step("starting the Vault of dc-b", vault(gateway, VAULTS[1])),
        step("starting NATS", nats(gateway)),
        step("starting the EVM node", anvil(gateway)),
    )?;
    Ok(Servers { vaults: [keepers, coolers], nats, anvil })
}

async fn vault(gateway: Ipv4Addr, name: &str) -> Result<VaultServer> {
    let options = options(gateway, name);
    let folder = options.folder.clone().unwrap_or_default();
    let vault = Vault::start(options).await?;
    let root_token = vault.root_token().to_owned();
    Ok(VaultServer { address: vault.address(), ca_file: vault.ca_file(), root_token, folder })
}

async fn nats(gateway: Ipv4Addr) -> Result<NatsServer> {
    let options = options(gateway, "nats");
    let folder = options.folder.clone().unwrap_or_default();
    let nats = Nats::start(options).await?;
    Ok(NatsServer {
        url: nats.url(),
        ca_file: nats.ca_file(),
        operator_signing_seed: nats.operator_signing_seed().to_owned(),
        system_account: nats.system_account().to_owned(),
        push_user_creds: nats.push_user_creds(),
        folder,
    })
}

async fn anvil(gateway: Ipv4Addr) -> Result<AnvilServer> {
    let options = options(gateway, "anvil");
    let folder = options.folder.clone().unwrap_or_default();
    let anvil = Anvil::start(CHAIN_ID, options).await?;
    let (url, loopback_url) = (anvil.url(), anvil.loopback_url());
    Ok(AnvilServer { url, loopback_url, chain_id: anvil.chain_id(), folder })
}

fn options(gateway: Ipv4Addr, name: &str) -> Options {
    let folder = Some(paths::folder().join(name));
    Options { bind: IpAddr::V4(gateway), extra_ips: Vec::new(), folder, detached: true }
}

/// Ends every server of this checkout's lab, also where its files are gone: a server is one of the programs, working
/// in the lab's folder. What they stored goes with that folder, so they are killed.
pub(crate) async fn kill_all() -> Result<()> {
    let folder = paths::folder();
    processes::kill(|process| process.folder.starts_with(&folder) && PROGRAMS.iter().any(|program| process.is(program)))
        .await
}
