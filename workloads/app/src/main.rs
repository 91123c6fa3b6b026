//! App: users' wallets and payments over HTTP; asks Keeper and Cooler for signatures over NATS.

mod app;
mod config;
mod health;
mod http;
mod identity;
mod metrics;
mod operation;
mod payments;
mod signers;
mod store;
mod trust;
mod wallets;

fn main() {}
