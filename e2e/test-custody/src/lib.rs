//! What tests of the signers need around them: a custody with the documents of its data centres, and a real Vault that
//! is set up for its signers.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod documents;
mod vault;

pub use self::{
    documents::{CHAIN, Custody, Documents, SAFE, TOKEN, local_policy, peers, user_jwt},
    vault::RealVault,
};
