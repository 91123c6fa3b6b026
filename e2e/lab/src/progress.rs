//! Lines on standard error for whatever takes over two seconds.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// Silent until then.
const FIRST: Duration = Duration::from_secs(2);
/// Between further lines of one step.
const EVERY: Duration = Duration::from_secs(15);

/// Does a step of the work, which errors then name.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    let mut work = pin!(work);
    let mut wait = FIRST;
    let result = loop {
        match tokio::time::timeout(wait, &mut work).await {
            Ok(result) => break result,
            Err(_) => eprintln!("lab: {what} ... {} s", started.elapsed().as_secs()),
        }
        wait = EVERY;
    };
    if result.is_ok() && started.elapsed() >= FIRST {
        eprintln!("lab: {what}: done in {} s", started.elapsed().as_secs());
    }
    result.context(what.to_owned())
}
