//! What a signer did, for whom and why, as a chain of records in which each commits to the one before: what was removed,
//! changed, inserted or reordered later shows, and what only one of the two signers signed shows when their chains are
//! laid side by side. Pure: the clock is passed in, and reading and writing are the caller's.

mod hex;
mod record;

pub use record::{Decision, EVACUATION_SIGN, Entry, Head, MAX_FIELD_BYTES, Record, SIGN, hash, next};
