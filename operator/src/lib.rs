//! The operator: reconciles MultisigCluster over a hub and its member clusters.

pub mod calls;
pub mod conditions;
pub mod context;
pub mod controllers;
pub mod crd;
#[cfg(test)]
mod fixtures;
pub mod health;
pub mod hub;
pub mod members;
pub mod metrics;
pub mod nats;
pub mod reconcile;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod signers;
