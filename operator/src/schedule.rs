//! When to look again. Pure: failures, times and randomness are passed in.

use std::time::Duration;

/// No retry waits longer.
pub const RETRY_CAP: Duration = Duration::from_secs(15);
/// How often a member is probed while it answers.
pub const PROBE: Duration = Duration::from_secs(10);
/// How often a cluster that is Ready is looked at although nothing has happened.
pub const READY: Duration = Duration::from_secs(60);

const FIRST_RETRY: Duration = Duration::from_millis(500);
/// While something has been awaited for less than this, somebody is probably watching.
const EAGER_FOR: Duration = Duration::from_secs(120);
const EAGER: Duration = Duration::from_millis(1500);
const PATIENT: Duration = Duration::from_secs(5);

/// Delay after the `failures`-th failure in a row (from 1): doubles from half a second, at most [`RETRY_CAP`].
pub fn retry(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_RETRY * 2_u32.pow(doublings)).min(RETRY_CAP)
}

/// Delay until the next look at something that is awaited since `waiting`.
pub fn poll(waiting: Duration) -> Duration {
    if waiting < EAGER_FOR { EAGER } else { PATIENT }
}

/// `base` less or more by up to a tenth, so that many clusters are not looked at all at once.
pub fn jittered(base: Duration, random: u32) -> Duration {
    let tenth = base.as_millis() as u64 / 10;
    let offset = u64::from(random) % (2 * tenth + 1);
    base - Duration::from_millis(tenth) + Duration::from_millis(offset)
}

/// [`retry`] as a sequence, for watches.
#[derive(Debug, Default)]
pub struct Retries(u32);

impl Iterator for Retries {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0 = self.0.saturating_add(1);
        Some(retry(self.0))
    }
}

impl kube::runtime::utils::Backoff for Retries {
    fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_delay_is_longer_than_15_seconds(failures: u32) {
            prop_assert!(retry(failures) <= Duration::from_secs(15));
            prop_assert!(retry(failures) >= Duration::from_millis(500));
        }

        #[test]
        fn jitter_stays_within_a_tenth(random: u32) {
            let delay = jittered(READY, random);
            prop_assert!((Duration::from_secs(54)..=Duration::from_secs(66)).contains(&delay));
        }
    }

    #[test]
    fn retries_double_until_the_cap() {
        let delays: Vec<u64> = (1..=7).map(|failures| retry(failures).as_millis() as u64).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
    }

    #[test]
    fn what_is_awaited_is_looked_at_often_at_first() {
        assert!(poll(Duration::from_secs(1)) <= Duration::from_secs(2));
        assert_eq!(poll(Duration::from_secs(3600)), Duration::from_secs(5));
    }
}
