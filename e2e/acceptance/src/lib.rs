//! The whole system as plain processes on the harness: three API servers, two Vaults, NATS, an EVM node, the operator,
//! Keeper, Cooler and App, wired by the project's own command lines.

pub mod audit;
mod caller;
pub mod load;
mod processes;
mod world;

pub use playbook::until;
pub use processes::Process;
pub use world::{CHAIN_ID, ETH, Ground, SAFE_DESTINATION, World, apply, capped, kubelets, prepare, tail};
