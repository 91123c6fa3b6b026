//! The adapters that this build has, by family of chains. Whoever needs a chain's rules gets them here, so that adding
//! a chain is one line here and no edit elsewhere.

use std::{collections::BTreeMap, sync::Arc};

use chain::{ChainError, ChainId, ChainRules, Rules};
use chain_evm::EvmSafe;

/// Rules of one chain of a family.
type Make = fn(ChainId) -> Result<Arc<dyn ChainRules>, ChainError>;

/// From chain ids to rules.
#[derive(Clone)]
pub struct Adapters {
    /// By CAIP-2 namespace.
    families: BTreeMap<&'static str, Make>,
    /// Added as values; they come before the families.
    added: Rules,
}

impl Adapters {
    /// All that this build has.
    pub fn all() -> Self {
        let evm: Make = |id| Ok(Arc::new(EvmSafe::new(id)?));
        Self { families: BTreeMap::from([(chain_evm::NAMESPACE, evm)]), added: Rules::new() }
    }

    /// One chain more, for tests. It is handed in as a value and not chosen by a cargo feature, so that no program has
    /// a chain that its source does not name.
    #[must_use]
    pub fn with(mut self, rules: Arc<dyn ChainRules>) -> Self {
        self.added.insert(rules.id().clone(), rules);
        self
    }

    /// The rules of a chain; refuses one that no adapter knows.
    pub fn rules(&self, id: &ChainId) -> Result<Arc<dyn ChainRules>, ChainError> {
        if let Some(added) = self.added.get(id) {
            return Ok(added.clone());
        }
        let make = self.families.get(id.namespace()).ok_or_else(|| ChainError::NoAdapter(id.clone()))?;
        make(id.clone())
    }

    /// The rules of each of `chains`; refuses a chain that no adapter knows.
    pub fn of(&self, chains: impl IntoIterator<Item = ChainId>) -> Result<Rules, ChainError> {
        chains.into_iter().map(|id| Ok((id.clone(), self.rules(&id)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_the_rules_of_its_family_or_none() {
        let adapters = Adapters::all();
        let (known, unknown): (ChainId, ChainId) = ("eip155:8453".parse().unwrap(), "solana:1".parse().unwrap());
        assert_eq!(*adapters.rules(&known).unwrap().id(), known);
        assert_eq!(adapters.rules(&unknown).err(), Some(ChainError::NoAdapter(unknown.clone())));
        assert_eq!(adapters.of([known.clone()]).unwrap().into_keys().collect::<Vec<_>>(), vec![known.clone()]);
        assert_eq!(adapters.of([known, unknown.clone()]).err(), Some(ChainError::NoAdapter(unknown)));
    }
}
