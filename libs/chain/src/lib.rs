//! What signers, stations and App need of a chain: [`ChainRules`], pure, for whoever signs or checks; [`ChainClient`],
//! networked, for whoever reads a node or pays to carry out what owners have signed. [`hex`] is how bytes are written
//! wherever they are shown.

mod access;
mod amount;
pub mod batch;
mod client;
mod client_error;
mod error;
pub mod execute;
pub mod hex;
mod id;
mod owners;
mod relay;
mod rules;
mod transaction;
mod wallet;

pub use access::{Access, Finality, LEAST_TIP, Place};
pub use amount::Amount;
pub use client::{
    Capacity, ChainClient, Created, Fate, Float, Head, Held, Look, NodeState, Purpose, Simulated, WalletState,
};
pub use client_error::{ClientError, Inability, Says};
pub use error::ChainError;
pub use id::ChainId;
pub use owners::{KeyRole, Owners};
pub use relay::{
    Account, Errand, Following, GAP, InMemory, Journal, JournalError, Outcome, RelayLimits, Relayed, Relaying, Stuck,
};
pub use rules::{ChainRules, Creation, Declares, Payer, Rules, Work};
pub use transaction::{
    Asset, Call, Claim, Effect, Fee, Payload, Refusal, Signature, Signatures, Transaction, Validity,
};
pub use wallet::WalletDesc;
