//! A cheap filter against repeated envelopes. It forgets at a restart and knows nothing of other replicas: that a
//! repeated operation does nothing twice is the signer's durable table's promise, not this one's.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use custody::Role;

use super::limits::MAX_SKEW_MS;

type Id = (Role, [u8; 16]);

/// The last requests, each remembered until its envelope is worthless, and never more than a fixed number.
pub struct ReplayFilter {
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    ids: HashSet<Id>,
    /// In order of arrival, with the time until which it is remembered.
    order: VecDeque<(u64, Id)>,
}

impl ReplayFilter {
    /// Remembers `capacity` requests at most; beyond, the oldest are forgotten first.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), seen: Mutex::default() }
    }

    /// Whether it is new.
    pub(super) fn insert(&self, sender: Role, id: [u8; 16], exp_ms: u64, now_ms: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget(self.capacity, now_ms);
        let new = seen.ids.insert((sender, id));
        if new {
            seen.order.push_back((exp_ms.saturating_add(MAX_SKEW_MS), (sender, id)));
        }
        new
    }
}

impl Default for ReplayFilter {
    /// 65,536 requests, about 4 MB: more than a signer serves within an envelope's life.
    fn default() -> Self {
        Self::new(65_536)
    }
}

impl Seen {
    fn forget(&mut self, capacity: usize, now_ms: u64) {
        while let Some((until, id)) = self.order.front() {
            if *until >= now_ms && self.order.len() < capacity {
                break;
            }
            self.ids.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_new_once_per_sender_until_its_envelope_is_worthless() {
        let filter = ReplayFilter::new(10);
        assert!(filter.insert(Role::App, [1; 16], 100, 50));
        assert!(!filter.insert(Role::App, [1; 16], 100, 60));
        assert!(filter.insert(Role::Cooler, [1; 16], 100, 60));
        assert!(!filter.insert(Role::App, [1; 16], 100, 100 + MAX_SKEW_MS));
        assert!(filter.insert(Role::App, [1; 16], 100, 101 + MAX_SKEW_MS));
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let filter = ReplayFilter::new(3);
        for id in 0..100u8 {
            assert!(filter.insert(Role::App, [id; 16], 1_000, 0));
        }
        let seen = filter.seen.lock().unwrap();
        assert_eq!((seen.ids.len(), seen.order.len()), (3, 3));
    }
}
