//! What the owners of a wallet sign for a payment.

use chain::{Claim, KeyRole, Signatures};

use super::progress::Kind;

/// A transaction that the owners are asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) kind: Kind,
    /// What it uses up; at least one.
    pub(crate) claims: Vec<Claim>,
    /// Block at which the claims were free: its execution may be found from there on.
    pub(crate) from_block: u64,
    /// The chain's own encoding.
    pub(crate) unsigned: Vec<u8>,
    /// Stands for all that is signed.
    pub(crate) id: [u8; 32],
    /// Hot's signatures, one for each payload.
    pub(crate) hot: Option<Signatures>,
    /// Cool's.
    pub(crate) cool: Option<Signatures>,
}

impl Transaction {
    /// What it uses up, in words.
    pub(crate) fn claimed(&self) -> String {
        self.claims.iter().map(Claim::to_string).collect::<Vec<_>>().join(" and ")
    }

    /// The owners whose signatures are there.
    pub(crate) fn signed_by(&self) -> Vec<KeyRole> {
        let hot = self.hot.as_ref().map(|_| KeyRole::Hot);
        hot.into_iter().chain(self.cool.as_ref().map(|_| KeyRole::Cool)).collect()
    }
}
