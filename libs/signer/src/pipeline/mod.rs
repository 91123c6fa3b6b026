//! One request, from the sender's verified bytes to the answer. Each step is a type that the next one needs: nothing
//! undecoded reaches the policy, nothing unjudged the watermark, nothing unrecorded the key.
//!
//! accept -> freeze, lock, lease -> idempotency -> registry and decode -> countersignature -> claims, policy, watermark,
//! spend and audit record in one commit -> unseal -> sign -> verify -> answer.

mod answer;
mod attest;
mod claims;
mod context;
mod create;
mod decoded;
mod gate;
mod known;
mod lock;
mod nonce;
mod payees;
mod payment;
mod payment_id;
mod peers;
mod quota;
mod records;
mod register;
mod registry;
mod request;
mod results;
mod room;
mod settlement;
mod signer;
mod signing;
mod stop;
#[cfg(test)]
mod tests;
mod vouch;
mod vouching;
mod wait;
mod windows;

pub use attest::attest;
pub use context::{SigningContext, cool_key_context, entropy_context, hot_key_context, seal_cool_keys};
pub use lock::Lock;
pub use peers::vouchers;
pub use request::{Asker, digest};
pub use results::reason;
pub use settlement::{Power, note_each, note_settlements};
pub use signer::{Clock, Signer};
