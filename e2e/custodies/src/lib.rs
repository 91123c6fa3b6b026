//! Custodies for tests: what the ceremonies leave, and what a data centre's admin then trusts. Either always the same,
//! made of fixed bytes, or a new one each time. No server is needed for any of it.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod ceremony;
mod parties;
mod plan;
mod trust;

pub use ceremony::{Ceremony, Custody, fixed_id, phrase};
pub use parties::{identity, own_keys, peers};
pub use plan::{FoundWallet, plan};
pub use trust::{CERTIFICATE, eth, local_policy, vault};

/// The one chain of these custodies, CAIP-2: the one that test nodes have.
pub const CHAIN: &str = "eip155:31337";
/// The one safe destination.
pub const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
