//! The one registry of networked adapters. Apart from the pure one, so that offline tools link nothing of it.
//!
//! A process that uses it installs a rustls provider first (aws-lc-rs in this workspace).

mod tend;

use std::sync::Arc;

use chain::{Access, ChainClient, ChainError, ChainId, ClientError, Relaying};
use chain_evm_client::{EvmClient, RelayerKey, Rpc, Signer};

pub use tend::Tending;

/// The client of a chain's nodes, which are asked for nothing yet. One that is given nothing to pay with only
/// reads.
pub fn connect(
    chain: &ChainId,
    access: &Access,
    relaying: Option<&Relaying<'_>>,
) -> Result<Arc<dyn ChainClient>, ClientError> {
    match chain.namespace() {
        chain_evm::NAMESPACE => Ok(Arc::new(EvmClient::new(chain.clone(), access, relaying)?)),
        _ => Err(ChainError::NoAdapter(chain.clone()).into()),
    }
}

/// The account on `chain` from which the key in a file's text pays, in display form.
pub fn payer(chain: &ChainId, text: &str) -> Result<String, ClientError> {
    match chain.namespace() {
        chain_evm::NAMESPACE => Ok(RelayerKey::parse(text)?.address().to_string()),
        _ => Err(ChainError::NoAdapter(chain.clone()).into()),
    }
}

/// The chain that the node at `url` serves.
pub async fn served(url: &str) -> Result<ChainId, ClientError> {
    Rpc::new(url)?.served().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_no_adapter_knows_is_refused_by_name() {
        let unknown: ChainId = "bip122:000000000019d6689c085ae165831e93".parse().unwrap();
        let Err(error) = connect(&unknown, &Access::one("http://127.0.0.1:1"), None) else { panic!("connected") };
        assert!(matches!(&error, ClientError::Chain(ChainError::NoAdapter(id)) if *id == unknown), "{error}");
    }
}
