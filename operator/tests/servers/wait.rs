//! Waiting for what comes about by itself.

use std::time::{Duration, Instant};

/// Longest wait for a state.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Tries again until it succeeds.
pub(crate) async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, mut step: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match step().await {
            Ok(value) => return value,
            Err(why) => assert!(Instant::now() < deadline, "{what} did not come about: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
