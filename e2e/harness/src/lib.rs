//! Real servers on loopback for tests: Kubernetes API servers, NATS, Vault, an EVM node, and a stand-in for the kubelet.
//!
//! Every server is a child process that dies with the test process, in a folder that the next run removes if this
//! one could not. The lab starts the same NATS, Vault and EVM node detached, in a folder that it keeps ([`Options`]).

pub mod cluster;
pub mod evm;
mod files;
pub mod go_app;
pub mod kubelet;
pub mod nats;
pub mod node;
pub mod options;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod rpc_proxy;
pub mod run;
pub mod servers;
pub mod tls;
pub mod vault;

pub use options::Options;

/// Makes aws-lc-rs the process's TLS provider. Every constructor here calls it; more often is harmless.
pub fn install_crypto() {
    // Refused only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
