//! The networked half of the EVM adapter: JSON-RPC, the state of a Safe as the chain has it, and a relayer that pays
//! gas from a small float of its own. It holds no owner's key: what it sends was signed elsewhere.
//!
//! A process that uses it installs a rustls provider first (aws-lc-rs in this workspace).

mod client;
mod quantity;
pub mod relayer;
mod revert;
pub mod rpc;
pub mod safe;

pub use client::EvmClient;
pub use relayer::{RelayerKey, Relayers, Signer};
pub use rpc::{Call, Fees, Receipt, Rpc};
pub use safe::{Execution, SafeState};
