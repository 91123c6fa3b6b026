//! The wall clock. Only what stands at the edge reads it: whoever decides something is given the time.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Whatever is asked for the time, Unix milliseconds: [`now_ms`], or another clock in a test.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Unix milliseconds. Before 1970 it is 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
