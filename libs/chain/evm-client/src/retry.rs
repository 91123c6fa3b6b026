//! How long to wait before asking again.

use std::time::Duration;

/// No wait is longer, so that work goes on soon after the cause of its failure is gone.
pub const LONGEST: Duration = Duration::from_secs(15);

/// Delay before the attempt after `failures` failed ones in a row: 250 ms, doubled each time, at most [`LONGEST`].
pub fn delay(failures: u32) -> Duration {
    Duration::from_millis(250 << failures.saturating_sub(1).min(6)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_never_exceed_fifteen_seconds() {
        let delays: Vec<_> = (0..100).map(delay).collect();
        assert_eq!(delays[1], Duration::from_millis(250));
        assert_eq!(delays[2], Duration::from_millis(500));
        assert!(delays.is_sorted());
        assert_eq!(delays.last(), Some(&LONGEST));
        assert_eq!(delay(u32::MAX), LONGEST);
    }
}
