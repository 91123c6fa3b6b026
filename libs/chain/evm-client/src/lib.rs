//! The networked half of the EVM adapter: the nodes of a chain, the state of a Safe as they agree on it, and a relayer
//! that pays gas from a small float of its own. It holds no owner's key: what it sends was signed elsewhere.
//!
//! From the wire up: `transport` and `fault` (what an error means), `node` (one node), `reads` and `logs` (many
//! questions at once), `follow` (blocks, and which nodes have them), `rpc` (all nodes), `client`, `batch` (many wallets
//! in one transaction).
//!
//! A process that uses it installs a rustls provider first (aws-lc-rs in this workspace).

mod batch;
mod bulk;
mod call;
mod client;
mod contracts;
mod fault;
mod fees;
mod follow;
mod logs;
mod node;
mod queue;
mod reads;
mod received;
pub mod relayer;
mod revert;
pub mod rpc;
pub mod safe;
mod transport;
mod window;

pub use call::Call;
pub use client::EvmClient;
pub use fees::{Fees, Offer};
pub use queue::Execution;
pub use relayer::{RelayerKey, Relayers, Signer};
pub use rpc::{Receipt, Rpc};
pub use safe::SafeState;
