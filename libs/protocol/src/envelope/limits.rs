//! What both sides must agree on: version, domain, sizes and times.

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
