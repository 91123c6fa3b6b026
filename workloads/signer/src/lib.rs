//! Keeper and Cooler as processes. The [`cli`] runs the process or one of the admin's commands; the agent brings
//! documents, keys, Vault and broker to the signer's core, which is the crate `signer`, and reports.

mod admin;
mod agent;
mod broker;
pub mod cli;
#[cfg(feature = "fault-points")]
pub mod embedded;
mod health;
mod input;
mod metrics;
mod process;
#[cfg(test)]
mod tests;
