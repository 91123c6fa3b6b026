//! Who holds which key and who trusts whom, as values: custody manifest, roles, phrases, derivation paths, the
//! member trust of a data centre and the documents that wire a member. Pure: no client, no clock; randomness is
//! passed in.

pub mod config;
mod error;
pub mod identity;
pub mod ids;
pub mod local_policy;
pub mod manifest;
pub mod phrase;
pub mod report;
pub mod sealed_backup;
pub mod sealed_phrase;
pub mod trust;
pub mod volume;

pub use error::TrustError;
pub use ids::{CustodyId, Role, WalletId};
