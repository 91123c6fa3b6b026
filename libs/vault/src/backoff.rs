//! When to try again: doubling from a quarter of a second, never more than 15 s.

use std::time::Duration;

/// Longest wait between two tries of anything.
pub const CAP: Duration = Duration::from_secs(15);
const FIRST: Duration = Duration::from_millis(250);

/// The wait after `failures` failures in a row; none before the first failure.
pub fn delay(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST.saturating_mul(1 << (n - 1).min(16)).min(CAP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_never_pass_fifteen_seconds() {
        let millis: Vec<u128> = (0..9).map(|n| delay(n).as_millis()).collect();
        assert_eq!(millis, [0, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(delay(u32::MAX), CAP);
    }
}
