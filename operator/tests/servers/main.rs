//! The operator against real servers: three API servers and a broker. Each test is a list of promises.
#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

mod api;
mod ground;
mod life;
mod party;
mod refusals;
mod startup;
