//! What Keeper and Cooler share. A request walks through the [`pipeline`]; what must survive is in the [`store`]; what
//! may be signed is the crate `policy`'s to judge; the [`wiring`] brings documents, keys, Vault and broker together and reports.

mod broker;
pub mod chains;
pub mod cli;
#[cfg(test)]
mod fixtures;
mod hardening;
#[cfg(feature = "fault-points")]
pub mod host;
mod http;
pub mod identity;
mod local;
mod metrics;
pub mod pipeline;
mod process;
pub mod store;
mod telemetry;
pub mod wiring;
