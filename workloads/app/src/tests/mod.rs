//! Promises of App, on a real EVM node with the real Safe contracts. The signers here are stand-ins that sign and
//! remember as real ones do, and fail on command in ways that real ones can't be made to; the real ones are met in the
//! workspace's end-to-end tests.

mod api;
mod chart;
mod client_keys;
mod coins;
mod crashes;
mod home;
mod intents;
mod payments;
mod relayer;
mod running;
mod signers;
mod waits;
mod wallets;
mod world;
