//! The envelope: signed by the sender's message key, then sealed to the recipient's XKey. A broker that carries it can
//! drop, delay within its life, repeat (without effect) and count; it can't read, forge or redirect it.
//!
//! A [`Party`] is one side with its keys and its peers. It makes requests and opens those of others; what it has
//! opened and verified is a [`VerifiedRequest`] or [`VerifiedResponse`], which nothing else can make.

mod keys;
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
pub use open::Rejected;
pub use party::Party;
pub use replay::ReplayFilter;
pub use seal::SealError;
pub use verified::{RequestTicket, VerifiedRequest, VerifiedResponse};
pub use wire::{Body, Kind, Sealed, Signed};

/// Version of all three layers.
pub const VERSION: u32 = 1;
/// What a message signature covers begins with this.
pub const DOMAIN: &str = "multisig.msg.v1";
/// Largest envelope, bytes: the broker's `max_payload`.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Longest accepted life, milliseconds.
pub const MAX_LIFETIME_MS: u64 = 60_000;
/// Life given to own envelopes, milliseconds: longer than any try's timeout and the accepted skew together.
pub const LIFETIME_MS: u64 = 30_000;
/// Longest time that one ephemeral key serves one peer, milliseconds.
pub const MAX_EPHEMERAL_MS: u64 = 60_000;
/// How far the sender's clock may be ahead, milliseconds.
pub const MAX_SKEW_MS: u64 = 5_000;
