//! What one sender has of one class, and whether it may have more. Pure: the clock is passed in.

use crate::bounds::{Allowance, Cost};

/// What a sender has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// [`Allowance::in_flight`].
    InFlight,
    /// [`Allowance::bytes`].
    Bytes,
    /// [`Allowance::per_second`].
    Rate,
}

impl Over {
    /// One line for people.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Over::InFlight => "this sender's earlier requests are still being answered; ask again",
            Over::Bytes => "this sender's requests under way are too large together; ask again",
            Over::Rate => "this sender asks too often; ask again later",
        }
    }
}

/// What a sender has under way, and how often it has asked lately.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    in_flight: usize,
    bytes: usize,
    rate: Bucket,
}

/// What was asked lately, in thousandths of a request; it drains at the rate that is allowed.
#[derive(Debug, Default)]
struct Bucket {
    level: u64,
    at_ms: u64,
}

impl Quota {
    /// Takes a request on, unless it is too much. `now_ms` is of any clock that does not go back.
    pub(crate) fn take(&mut self, allowance: &Allowance, cost: Cost, now_ms: u64) -> Result<(), Over> {
        if self.in_flight >= allowance.in_flight {
            return Err(Over::InFlight);
        }
        if self.bytes.saturating_add(cost.bytes) > allowance.bytes {
            return Err(Over::Bytes);
        }
        self.rate.take(allowance, cost.requests, now_ms)?;
        self.in_flight += 1;
        self.bytes += cost.bytes;
        Ok(())
    }

    /// A request that was taken on is over.
    pub(crate) fn give_back(&mut self, cost: Cost) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(cost.bytes);
    }

    /// Whether forgetting it gives the sender nothing.
    pub(crate) fn is_idle(&self, allowance: &Allowance, now_ms: u64) -> bool {
        self.in_flight == 0 && self.rate.drained(allowance, now_ms) == 0
    }
}

impl Bucket {
    fn take(&mut self, allowance: &Allowance, requests: u32, now_ms: u64) -> Result<(), Over> {
        let level = self.drained(allowance, now_ms) + u64::from(requests) * 1_000;
        if level > u64::from(allowance.burst) * 1_000 {
            return Err(Over::Rate);
        }
        *self = Self { level, at_ms: now_ms };
        Ok(())
    }

    fn drained(&self, allowance: &Allowance, now_ms: u64) -> u64 {
        // Requests a second are thousandths of a request a millisecond.
        let drained = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(allowance.per_second));
        self.level.saturating_sub(drained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance { in_flight: 3, bytes: 100, per_second: 10, burst: 5 };

    fn small() -> Cost {
        Cost { requests: 1, bytes: 1 }
    }

    #[test]
    fn so_many_are_under_way_and_another_when_one_is_over() {
        let mut quota = Quota::default();
        for _ in 0..3 {
            quota.take(&ALLOWANCE, small(), 0).unwrap();
        }
        assert_eq!(quota.take(&ALLOWANCE, small(), 0), Err(Over::InFlight));
        quota.give_back(small());
        quota.take(&ALLOWANCE, small(), 0).unwrap();
    }

    #[test]
    fn so_many_bytes_are_under_way_and_more_when_some_are_over() {
        let (mut quota, large) = (Quota::default(), Cost { requests: 1, bytes: 60 });
        quota.take(&ALLOWANCE, large, 0).unwrap();
        assert_eq!(quota.take(&ALLOWANCE, large, 0), Err(Over::Bytes));
        quota.take(&ALLOWANCE, Cost { requests: 1, bytes: 40 }, 0).unwrap();
        quota.give_back(large);
        quota.take(&ALLOWANCE, large, 0).unwrap();
        assert_eq!(quota.take(&ALLOWANCE, Cost { requests: 1, bytes: usize::MAX }, 0), Err(Over::Bytes));
    }

    /// What `at_ms` lets through of so many, each of which is over at once.
    fn passed(quota: &mut Quota, asked: usize, at_ms: u64) -> usize {
        let pass = |_: &usize| {
            let taken = quota.take(&ALLOWANCE, small(), at_ms);
            if taken.is_ok() {
                quota.give_back(small());
            }
            taken.is_ok()
        };
        (0..asked).filter(pass).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut quota = Quota::default();
        assert_eq!(passed(&mut quota, 100, 1_000), 5);
        assert_eq!(passed(&mut quota, 100, 1_099), 0, "one more comes after 100 ms");
        assert_eq!(passed(&mut quota, 100, 1_100), 1);
        assert_eq!(passed(&mut quota, 100, 1_400), 3);
        let over_a_minute: usize = (0..60_000).map(|ms| passed(&mut quota, 2, 2_000 + ms)).sum();
        assert!((595..=610).contains(&over_a_minute), "{over_a_minute}");
        assert_eq!(passed(&mut quota, 100, 1_000_000), 5, "a pause saves no more than a burst");
    }

    #[test]
    fn a_batch_counts_by_its_items_and_what_is_turned_away_costs_nothing() {
        let mut quota = Quota::default();
        let batch = |requests| Cost { requests, bytes: 1 };
        assert_eq!(quota.take(&ALLOWANCE, batch(6), 0), Err(Over::Rate));
        quota.take(&ALLOWANCE, batch(5), 0).unwrap();
        assert_eq!(quota.take(&ALLOWANCE, small(), 0), Err(Over::Rate));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let mut quota = Quota::default();
        assert_eq!(passed(&mut quota, 9, 5_000), 5);
        assert_eq!(passed(&mut quota, 9, 4_000), 0);
        assert_eq!(passed(&mut quota, 9, 5_000), 0);
    }

    #[test]
    fn one_that_has_nothing_under_way_and_has_not_asked_lately_is_idle() {
        let mut quota = Quota::default();
        assert!(quota.is_idle(&ALLOWANCE, 0));
        quota.take(&ALLOWANCE, small(), 0).unwrap();
        assert!(!quota.is_idle(&ALLOWANCE, 10_000));
        quota.give_back(small());
        assert!(!quota.is_idle(&ALLOWANCE, 99));
        assert!(quota.is_idle(&ALLOWANCE, 100));
    }
}
