//! What signers, stations and App need of a chain: [`ChainRules`], pure, for whoever signs or checks. [`hex`] is how
//! bytes are written wherever they are shown.

mod amount;
mod error;
pub mod hex;
mod id;
mod owners;
mod rules;
mod transaction;
mod wallet;

pub use amount::Amount;
pub use error::ChainError;
pub use id::ChainId;
pub use owners::{KeyRole, Owners};
pub use rules::{ChainRules, Creation, Declares, Payer};
pub use transaction::{
    Asset, Call, Claim, Effect, Fee, Payload, Refusal, Signature, Signatures, Transaction, Validity,
};
pub use wallet::WalletDesc;
