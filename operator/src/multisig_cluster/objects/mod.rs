//! What each object looks like: on a member in the published shape ([`shape`]), and on the hub ([`hub`]). Pure.

pub mod account_secret;
pub mod app_credentials;
pub mod config;
pub mod credentials;
pub mod disruption_budget;
pub mod hub;
pub mod ownership;
pub mod placeholder;
pub mod service;
pub mod shape;
pub mod stateful_set;
