//! The envelope: signed by the sender's message key, then sealed to the recipient's XKey. A broker that carries it can
//! drop, delay within its life, repeat (without effect) and count; it can't read, forge or redirect it.
//!
//! A [`Party`] is one side with its keys and its peers. It makes requests and opens those of others; what it has
//! opened and verified is a [`VerifiedRequest`] or [`VerifiedResponse`], which nothing else can make.

mod keys;
mod limits;
mod open;
mod party;
mod recent;
mod replay;
mod seal;
#[cfg(test)]
mod tests;
mod verified;
mod wire;

pub use keys::{OwnKeys, PeerError, Peers};
pub use limits::{DOMAIN, LIFETIME_MS, MAX_BYTES, MAX_EPHEMERAL_MS, MAX_LIFETIME_MS, MAX_SKEW_MS, VERSION};
pub use open::{Made, Rejected};
pub use party::Party;
pub use replay::ReplayFilter;
pub use seal::SealError;
pub use verified::{RequestTicket, VerifiedRequest, VerifiedResponse};
pub use wire::{Body, Kind, Sealed, Signed};
