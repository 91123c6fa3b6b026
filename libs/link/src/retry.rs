//! How long to wait before the next try.

use std::time::Duration;

/// The longest delay: when the cause is gone, work goes on within it.
pub const MAX_DELAY: Duration = Duration::from_secs(15);
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The delay after `failures` failures in a row (1 or more): 100 ms, doubled each time, at most [`MAX_DELAY`].
pub fn delay(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    2u32.checked_pow(doublings)
        .and_then(|factor| FIRST_DELAY.checked_mul(factor))
        .map_or(MAX_DELAY, |d| d.min(MAX_DELAY))
}

/// [`delay`], shortened by up to a half as `random` says, so that those who failed together don't come back together.
pub fn jittered(failures: usize, random: u32) -> Duration {
    delay(failures).mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_never_exceed_fifteen_seconds() {
        let delays: Vec<u128> = (0..10).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [100, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000]);
        assert!([11, 40, 1_000, usize::MAX].into_iter().all(|failures| delay(failures) == MAX_DELAY));
    }

    #[test]
    fn jitter_takes_away_half_at_most() {
        assert_eq!(jittered(3, 0), delay(3));
        assert_eq!(jittered(3, u32::MAX), delay(3) / 2);
        assert!(jittered(3, u32::MAX / 2) < delay(3));
    }
}
