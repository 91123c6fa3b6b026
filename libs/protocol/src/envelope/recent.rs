//! Shared keys that were computed a moment ago: X25519 costs more than all else about a small message, and one ephemeral
//! key serves a peer for a while. They belong to the private keys that they come from, so a key is never used with
//! another own key, and go with them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crypto_box::SalsaBox;

use super::limits::MAX_EPHEMERAL_MS;

/// Recipients at the same time: more than all accepted keys of all roles.
const SENDING: usize = 16;
/// Senders' ephemeral keys at the same time.
const RECEIVING: usize = 64;
/// A key that was first seen late may serve its whole time after that, milliseconds.
const RECEIVING_MS: u64 = 2 * MAX_EPHEMERAL_MS;

/// What one message after the other is sealed with. The private half is wiped at once, only this is kept.
pub(super) struct Ephemeral {
    pub(super) public: [u8; 32],
    pub(super) key: SalsaBox,
}

/// The recent shared keys of one pair of private keys. [`SalsaBox`] wipes itself.
pub(super) struct SharedKeys {
    /// By the recipient's XKey.
    pub(super) sending: Recent<Ephemeral>,
    /// By the sender's ephemeral key, and only of senders whose signature was right: nobody else displaces any.
    pub(super) receiving: Recent<SalsaBox>,
}

impl Default for SharedKeys {
    fn default() -> Self {
        Self { sending: Recent::new(SENDING, MAX_EPHEMERAL_MS), receiving: Recent::new(RECEIVING, RECEIVING_MS) }
    }
}

/// At most `capacity` values by public key, each for `life_ms` by the clock that is passed in.
pub(super) struct Recent<T> {
    capacity: usize,
    life_ms: u64,
    /// The oldest first.
    kept: Mutex<VecDeque<Kept<T>>>,
}

struct Kept<T> {
    id: [u8; 32],
    since_ms: u64,
    value: Arc<T>,
}

impl<T> Recent<T> {
    fn new(capacity: usize, life_ms: u64) -> Self {
        Self { capacity, life_ms, kept: Mutex::default() }
    }

    /// What was kept for `id`, if it is recent.
    pub(super) fn get(&self, id: &[u8; 32], now_ms: u64) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| kept.id == *id)?;
        found.lives(self.life_ms, now_ms).then(|| found.value.clone())
    }

    /// Keeps `value` for `id` from now on, and forgets what has outlived its time or is one too many.
    pub(super) fn keep(&self, id: [u8; 32], value: Arc<T>, now_ms: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.id != id && kept.lives(self.life_ms, now_ms));
        if kept.len() >= self.capacity {
            kept.pop_front();
        }
        kept.push_back(Kept { id, since_ms: now_ms, value });
    }
}

impl<T> Kept<T> {
    /// Not from the future either: a clock that was put back must not prolong anything.
    fn lives(&self, life_ms: u64, now_ms: u64) -> bool {
        now_ms.checked_sub(self.since_ms).is_some_and(|age| age < life_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lives_as_long_as_said_and_not_before_it_was_made() {
        let recent = Recent::new(4, 100);
        recent.keep([1; 32], Arc::new("a"), 50);
        assert_eq!(recent.get(&[1; 32], 50).as_deref(), Some(&"a"));
        assert_eq!(recent.get(&[1; 32], 149).as_deref(), Some(&"a"));
        assert_eq!(recent.get(&[1; 32], 150), None);
        assert_eq!(recent.get(&[1; 32], 49), None, "the clock was put back");
        assert_eq!(recent.get(&[2; 32], 50), None);
    }

    #[test]
    fn it_never_holds_more_than_its_capacity_nor_what_is_over() {
        let recent = Recent::new(3, 100);
        let held = |recent: &Recent<u8>| recent.kept.lock().unwrap().len();
        for id in 0..50 {
            recent.keep([id; 32], Arc::new(id), 0);
        }
        assert_eq!(held(&recent), 3);
        assert_eq!(recent.get(&[46; 32], 0), None, "the oldest went first");
        recent.keep([49; 32], Arc::new(0), 1);
        assert_eq!((held(&recent), recent.get(&[49; 32], 1).as_deref()), (3, Some(&0)));
        recent.keep([1; 32], Arc::new(0), 500);
        assert_eq!(held(&recent), 1);
    }
}
