//! App's database: what users asked for is on the disk before anything is signed for it, and every step after that
//! before it is taken. A commit that returned survives a power cut.
//!
//! Everybody else sees the interface alone, in domain types; each database is a folder of its own.

mod error;
mod payments;
mod recovery;
mod relays;
pub(crate) mod rows;
pub(crate) mod sqlite;
mod wallets;

pub(crate) use error::StoreError;
pub(crate) use payments::Payments;
pub(crate) use recovery::Recovery;
pub(crate) use relays::Relays;
pub(crate) use wallets::Wallets;

/// All that App keeps.
pub(crate) trait Store: Wallets + Payments + Relays + Recovery {}

impl<T: Wallets + Payments + Relays + Recovery> Store for T {}
