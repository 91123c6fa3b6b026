//! The NATS account of a custody: its keys and what was minted ([`account`]), for whom ([`identity`]), and the broker
//! that has to know ([`broker`]).

pub mod account;
pub mod broker;
pub mod identity;
pub mod keys;
