//! Where a server listens and lives.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

/// How to start NATS, Vault or the EVM node. The default suits tests: loopback, a temporary folder, dies with us.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Further addresses for the TLS certificate; [`Self::bind`] and 127.0.0.1 are always in it.
    pub extra_ips: Vec<IpAddr>,
    /// A folder that is kept: keys, ports and data are made there once and found there again. `None`: a temporary one.
    pub folder: Option<PathBuf>,
    /// Outlives this process, in a session of its own.
    pub detached: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), extra_ips: Vec::new(), folder: None, detached: false }
    }
}

impl Options {
    /// All addresses that a certificate has to name.
    pub(crate) fn certificate_ips(&self) -> Vec<IpAddr> {
        let mut ips = vec![self.bind, IpAddr::V4(Ipv4Addr::LOCALHOST)];
        ips.extend(&self.extra_ips);
        ips.sort();
        ips.dedup();
        ips
    }
}
