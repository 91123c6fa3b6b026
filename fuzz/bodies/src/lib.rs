//! What the fuzz targets do with an input: each function reads it as a hostile file or message and panics where a
//! promise is broken. The fuzzer searches with them (`make fuzz`), `cargo test` replays with them what was found.
//!
//! The first byte of an input says which door it comes in by, so that one corpus serves a whole target.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a finding is told")]

mod audit_reader;
mod envelope;
mod input;
mod policy_file;
mod transaction;

pub use audit_reader::audit_reader;
pub use envelope::envelope;
pub use policy_file::policy_file;
pub use transaction::transaction;

/// Between two documents in one input: a line of its own.
pub const SEPARATOR: &str = "%%\n";

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folders of inputs.
    pub name: &'static str,
    /// What is done with an input.
    pub body: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 4] = [
    Target { name: "audit_reader", body: audit_reader },
    Target { name: "envelope", body: envelope },
    Target { name: "policy_file", body: policy_file },
    Target { name: "transaction", body: transaction },
];
