//! The operator against real servers: three API servers and a broker. Each test is a list of promises.
#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

mod api;
mod ground;
mod life;
mod process;
mod refusals;
mod secrets;
mod startup;
mod wait;
mod workload;
