//! A data centre for one signer, Keeper or Cooler: a real API server, Vault and broker, the ConfigMaps as admin and hub
//! write them, and the other signer in a small way. For the tests of both signers' processes.
//!
//! [`Pair`] is both signers of one custody, each in a data centre of its own, and a sentinel beside them. [`RealVault`]
//! alone is for tests of a signer's parts.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod cluster;
mod data_center;
mod pair;
mod peer;
mod process;
mod sentinel;
mod shared;
mod vault;

pub use data_center::Member;
pub use pair::Pair;
pub use process::{Copied, Process};
pub use sentinel::{LEASE, Sentinel, ask};
pub use shared::{Credentials, Custody};
pub use vault::RealVault;
