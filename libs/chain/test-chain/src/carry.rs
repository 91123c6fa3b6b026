//! What is carried to the chain.

use chain::{Call, ChainError, KeyRole, Signatures};
use serde::{Deserialize, Serialize};

/// A transaction with the signatures of two owners, each verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assembled {
    /// Address of the wallet.
    pub wallet: String,
    /// What was signed.
    pub unsigned: Vec<u8>,
    /// One signature per coin, by each of two owners.
    pub signatures: Vec<(KeyRole, Signatures)>,
}

impl Assembled {
    /// Reads what `ChainRules::assemble` made.
    pub fn read(call: &Call) -> Option<Self> {
        serde_json::from_slice(&call.data).ok().filter(|_| call.to.is_empty())
    }

    pub(crate) fn call(&self) -> Result<Call, ChainError> {
        let data = serde_json::to_vec(self).map_err(|error| ChainError::Assemble(error.to_string()))?;
        Ok(Call { to: String::new(), data })
    }
}
