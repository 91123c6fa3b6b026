//! The member chart and `multisig member` on real servers.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod chart;
mod peers;
mod prepare;
mod rights;
mod support;
