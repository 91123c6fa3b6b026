//! Who holds which key and who trusts whom, as values: custody manifest, roles, phrases, derivation paths, the
//! trust bundle of a data centre and the documents that wire a member. Pure: no client, no clock; randomness is
//! passed in.

pub mod coolseal;
pub mod fingerprint;
pub mod ids;
pub mod manifest;
pub mod phrase;
pub mod trust;
pub mod wiring;

pub use ids::{CustodyId, KeyRole, Role, WalletId};
