//! The adapters that this build has, by family of chains.

use std::collections::BTreeMap;

use chain::{ChainError, ChainId, ChainRules};
use chain_evm::EvmSafe;
use custody::phrase::EIP155;

/// One adapter per chain in use.
pub type Rules = BTreeMap<ChainId, Box<dyn ChainRules>>;

/// Adapters for `chains`; refuses a chain that no adapter knows.
pub fn rules(chains: impl IntoIterator<Item = ChainId>) -> Result<Rules, ChainError> {
    chains.into_iter().map(|id| Ok((id.clone(), adapter(id)?))).collect()
}

fn adapter(id: ChainId) -> Result<Box<dyn ChainRules>, ChainError> {
    match id.namespace() {
        EIP155 => Ok(Box::new(EvmSafe::new(id)?)),
        _ => Err(ChainError::ChainId(id.to_string())),
    }
}
