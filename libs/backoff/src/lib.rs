//! How long to wait before trying again: one pure schedule for everything remote.

use std::time::Duration;

/// No wait is longer, so that work goes on soon after the cause of its failure is gone.
pub const MAX_DELAY: Duration = Duration::from_secs(15);
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The wait after `failures` failures in a row: none before the first, then 250 ms, doubled each time, at most
/// [`MAX_DELAY`].
pub fn delay(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_DELAY.saturating_mul(1 << (n - 1).min(16)).min(MAX_DELAY),
    }
}

/// [`delay`], shortened by up to a half as `random` says, so that those who failed together don't come back together.
pub fn jittered(failures: u32, random: u32) -> Duration {
    delay(failures).mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_never_pass_fifteen_seconds() {
        let millis: Vec<u128> = (0..9).map(|n| delay(n).as_millis()).collect();
        assert_eq!(millis, [0, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(delay(u32::MAX), MAX_DELAY);
    }

    #[test]
    fn jitter_takes_away_half_at_most() {
        assert_eq!(jittered(3, 0), delay(3));
        assert_eq!(jittered(3, u32::MAX), delay(3) / 2);
        assert!(jittered(3, u32::MAX / 2) < delay(3));
    }
}
