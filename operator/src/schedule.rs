//! When to look again. Pure: failures, times and randomness are passed in.

use std::time::Duration;

/// How often a member is probed while it answers.
pub const PROBE: Duration = Duration::from_secs(10);
/// How often a cluster that is Ready is looked at although nothing has happened.
pub const READY: Duration = Duration::from_secs(60);

/// While something has been awaited for less than this, somebody is probably watching.
const EAGER_FOR: Duration = Duration::from_secs(120);
const EAGER: Duration = Duration::from_millis(1500);
const PATIENT: Duration = Duration::from_secs(5);

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

/// [`backoff::delay`] as a sequence, for watches.
#[derive(Debug, Default)]
pub struct Retries(u32);

impl Iterator for Retries {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0 = self.0.saturating_add(1);
        Some(backoff::delay(self.0))
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
        fn jitter_stays_within_a_tenth(random: u32) {
            let delay = jittered(READY, random);
            prop_assert!((Duration::from_secs(54)..=Duration::from_secs(66)).contains(&delay));
        }
    }

    #[test]
    fn watches_are_tried_again_within_15_seconds_and_at_once_after_a_success() {
        let mut retries = Retries::default();
        assert!(retries.by_ref().take(50).all(|delay| delay <= Duration::from_secs(15)));
        kube::runtime::utils::Backoff::reset(&mut retries);
        assert_eq!(retries.next(), Some(backoff::delay(1)));
    }

    #[test]
    fn what_is_awaited_is_looked_at_often_at_first() {
        assert!(poll(Duration::from_secs(1)) <= Duration::from_secs(2));
        assert_eq!(poll(Duration::from_secs(3600)), Duration::from_secs(5));
    }
}
