//! The operator: reconciles MultisigCluster over a hub and its member clusters.

pub mod calls;
pub mod conditions;
pub mod context;
pub mod controllers;
pub mod crd;
pub mod document;
pub mod health;
pub mod hub;
pub mod member_cluster;
pub mod members;
pub mod metrics;
pub mod multisig_cluster;
pub mod nats;
pub mod places;
mod roots;
pub mod run;
pub mod schedule;
pub mod secret;
#[cfg(test)]
mod tests;
