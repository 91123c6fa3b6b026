//! Promises of App, on a real EVM node with the real Safe contracts. The signers here are stand-ins that sign and
//! remember as real ones do, and fail on command in ways that real ones can't be made to; the real ones are met in the
//! workspace's end-to-end tests.

mod api;
mod callers;
mod cancels;
mod chart;
mod client_keys;
mod coins;
mod crashes;
mod deposits;
mod files;
mod finality;
mod home;
mod intents;
mod internal;
mod lists;
mod nodes;
mod payments;
mod relayer;
mod restored;
mod running;
mod signers;
mod tokens;
mod waits;
mod wallets;
mod world;
