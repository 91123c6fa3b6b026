//! Where the attacks happen: Keeper and Cooler with trust of profile Production, each in a data centre of its own, one
//! broker, a sentinel, and a chain with the real Safe contracts.

mod arena;
mod assets;
pub(crate) mod safe;
mod signing;
mod stage;
mod wallet;
mod wire;

pub(crate) use arena::Arena;
pub(crate) use assets::{Kind, PER_TRANSACTION, PER_WALLET, SHORT_WINDOW_SECONDS, THRESHOLD, TOTAL};
pub(crate) use signing::{Granted, asked, operation_id, reason};
pub(crate) use stage::World;
pub(crate) use wallet::Wallet;
pub(crate) use wire::{Tapped, Wire, next, tapped};
