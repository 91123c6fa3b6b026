//! What signers, stations and App need of a chain: [`ChainRules`], pure, for whoever signs or checks.

mod amount;
mod error;
mod id;
mod owners;
mod rules;
mod transaction;
mod wallet;

pub use amount::Amount;
pub use error::ChainError;
pub use id::ChainId;
pub use owners::{KeyRole, Owners};
pub use rules::{ChainRules, Creation, Declares, Payer, Rules};
pub use transaction::{
    Asset, Call, Claim, Effect, Fee, Payload, Refusal, Signature, Signatures, Transaction, Validity,
};
pub use wallet::WalletDesc;
