//! The main job, step by step, through the real command lines: what the tests and the demo both play. Each role has
//! a folder and credentials of its own; what crosses from one folder to another is a file that may be public.

pub mod app;
pub mod command;
pub mod evacuation;
pub mod hub;
pub mod member;
pub mod stations;

use std::time::{Duration, Instant};

use anyhow::Result;

pub use command::{Commands, Output};

/// Longest wait for a state of the whole.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Tries again until it succeeds; the last error after [`DEADLINE`].
pub async fn until<T, F: Future<Output = Result<T>>>(mut step: impl FnMut() -> F) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match step().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}
