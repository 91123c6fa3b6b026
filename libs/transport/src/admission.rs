//! Who is taken on: a verified request takes a place of its class and a part of its sender's quota, and gives both back
//! when its answer has left.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use custody::Role;
use protocol::ops::Class;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    bounds::{Bounds, Capacity, Cost},
    metrics::Metrics,
    quota::{Over, Quota},
};

/// Refusals of one class that are sealed and sent at the same time; beyond, callers hear nothing.
const REFUSALS: usize = 4;
/// Senders that are remembered though they have nothing under way: more than all accepted keys.
const SENDERS: usize = 16;

/// A role with one of its message keys.
pub(crate) type Sender = (Role, [u8; 32]);

/// Why a request is turned away for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Its class has too much under way.
    Busy,
    /// Its sender has.
    SenderQuota(Over),
}

impl Turned {
    /// Stable name: the answer's reason and the metric's label.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Turned::Busy => "Busy",
            Turned::SenderQuota(_) => "SenderQuota",
        }
    }

    /// One line for people.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Turned::Busy => "too many requests are waiting; ask again",
            Turned::SenderQuota(over) => over.message(),
        }
    }
}

/// All classes.
pub(crate) struct Admission {
    urgent: Gate,
    peer: Gate,
    ordinary: Gate,
    reading: Gate,
    metrics: Metrics,
    started: Instant,
}

/// One class.
struct Gate {
    class: Class,
    capacity: Capacity,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    running: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    senders: Arc<Mutex<HashMap<Sender, Quota>>>,
}

/// A request that was taken on. It waits and runs in its place, which is free again when this is dropped.
pub(crate) struct Admitted {
    running: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
    _share: Share,
}

/// A sender's part of its quota.
struct Share {
    class: Class,
    sender: Sender,
    cost: Cost,
    senders: Arc<Mutex<HashMap<Sender, Quota>>>,
    metrics: Metrics,
}

impl Admission {
    pub(crate) fn new(bounds: &Bounds, metrics: Metrics) -> Self {
        let gate = |class| Gate::new(class, *bounds.of(class));
        Self {
            urgent: gate(Class::Urgent),
            peer: gate(Class::Peer),
            ordinary: gate(Class::Ordinary),
            reading: gate(Class::Reading),
            metrics,
            started: Instant::now(),
        }
    }

    fn gate(&self, class: Class) -> &Gate {
        match class {
            Class::Urgent => &self.urgent,
            Class::Peer => &self.peer,
            Class::Ordinary => &self.ordinary,
            Class::Reading => &self.reading,
        }
    }

    /// Takes on a request of `sender`, or says why not now.
    pub(crate) fn admit(&self, sender: Sender, class: Class, cost: Cost) -> Result<Admitted, Turned> {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let admitted = self.gate(class).admit(sender, cost, now_ms, &self.metrics);
        if let Err(turned) = &admitted {
            self.metrics.turn_away(class, turned.reason());
        }
        admitted
    }

    /// The right to tell a caller that it was turned away, unless many are being told.
    pub(crate) fn refuse(&self, class: Class) -> Option<OwnedSemaphorePermit> {
        self.gate(class).refusals.clone().try_acquire_owned().ok()
    }
}

impl Gate {
    fn new(class: Class, capacity: Capacity) -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        let Capacity { running, waiting, bytes, sender: _ } = capacity;
        Self {
            class,
            capacity,
            places: permits(running + waiting),
            bytes: permits(bytes),
            running: permits(running),
            refusals: permits(REFUSALS),
            senders: Arc::default(),
        }
    }

    fn admit(&self, sender: Sender, cost: Cost, now_ms: u64, metrics: &Metrics) -> Result<Admitted, Turned> {
        let share = self.share(sender, cost, now_ms, metrics)?;
        let bytes = u32::try_from(cost.bytes).map_err(|_| Turned::Busy)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| Turned::Busy)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| Turned::Busy)?;
        Ok(Admitted { running: self.running.clone(), _place: place, _bytes: bytes, _share: share })
    }

    fn share(&self, sender: Sender, cost: Cost, now_ms: u64, metrics: &Metrics) -> Result<Share, Turned> {
        let mut senders = locked(&self.senders);
        if senders.len() >= SENDERS {
            senders.retain(|known, quota| *known == sender || !quota.is_idle(&self.capacity.sender, now_ms));
        }
        let quota = senders.entry(sender).or_default();
        quota.take(&self.capacity.sender, cost, now_ms).map_err(Turned::SenderQuota)?;
        metrics.under_way(self.class, 1, cost.bytes);
        Ok(Share { class: self.class, sender, cost, senders: self.senders.clone(), metrics: metrics.clone() })
    }
}

impl Admitted {
    /// Waits for a handler's turn.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Closed by nobody.
        self.running.clone().acquire_owned().await.ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.metrics.under_way(self.class, -1, self.cost.bytes);
        if let Some(quota) = locked(&self.senders).get_mut(&self.sender) {
            quota.give_back(self.cost);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Allowance;

    const APP: Sender = (Role::App, [1; 32]);
    const NEXT_APP: Sender = (Role::App, [2; 32]);

    fn admission(capacity: Capacity) -> Admission {
        let bounds = Bounds { ordinary: capacity, ..Bounds::default() };
        Admission::new(&bounds, Metrics::default())
    }

    fn capacity(running: usize, waiting: usize, bytes: usize) -> Capacity {
        let sender = Allowance { in_flight: 100, bytes: 1_000_000, per_second: 1_000, burst: 1_000 };
        Capacity { running, waiting, bytes, sender }
    }

    fn cost(bytes: usize) -> Cost {
        Cost { requests: 1, bytes }
    }

    fn turned(outcome: Result<Admitted, Turned>) -> &'static str {
        outcome.err().map_or("admitted", Turned::reason)
    }

    #[test]
    fn a_class_that_is_full_turns_away_its_own_and_nobody_elses() {
        let admission = admission(capacity(1, 1, 1_000));
        let ask = |class| admission.admit(APP, class, cost(10));
        let held = [ask(Class::Ordinary), ask(Class::Ordinary)];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(turned(ask(Class::Ordinary)), "Busy");
        for other in [Class::Urgent, Class::Peer, Class::Reading] {
            assert_eq!(turned(ask(other)), "admitted");
        }
        drop(held);
        assert_eq!(turned(ask(Class::Ordinary)), "admitted");
    }

    #[test]
    fn bytes_are_bounded_over_all_senders_of_a_class() {
        let admission = admission(capacity(10, 10, 100));
        let held =
            [admission.admit(APP, Class::Ordinary, cost(60)), admission.admit(NEXT_APP, Class::Ordinary, cost(40))];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(turned(admission.admit(NEXT_APP, Class::Ordinary, cost(1))), "Busy");
        drop(held);
        assert_eq!(turned(admission.admit(NEXT_APP, Class::Ordinary, cost(100))), "admitted");
    }

    #[test]
    fn a_sender_that_has_all_of_its_quota_leaves_the_others_theirs() {
        let mut few = capacity(10, 10, 1_000);
        few.sender.in_flight = 2;
        let admission = admission(few);
        let held = [APP, APP].map(|sender| admission.admit(sender, Class::Ordinary, cost(1)));
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(turned(admission.admit(APP, Class::Ordinary, cost(1))), "SenderQuota");
        assert_eq!(turned(admission.admit(NEXT_APP, Class::Ordinary, cost(1))), "admitted");
    }

    #[test]
    fn a_request_that_finds_no_place_gives_its_sender_the_quota_back() {
        let admission = admission(capacity(1, 0, 1_000));
        let held = admission.admit(NEXT_APP, Class::Ordinary, cost(1));
        assert_eq!(turned(admission.admit(APP, Class::Ordinary, cost(500))), "Busy");
        drop(held);
        assert!(locked(&admission.ordinary.senders)[&APP].is_idle(&capacity(1, 0, 0).sender, 60_000));
    }

    #[test]
    fn forgotten_keys_take_no_memory() {
        let admission = admission(capacity(10, 10, 1_000));
        let sender = admission.ordinary.capacity.sender;
        for key in 0..200 {
            let share =
                admission.ordinary.share((Role::App, [key; 32]), cost(1), u64::from(key) * 1_000, &Metrics::default());
            assert!(share.is_ok());
        }
        assert!(locked(&admission.ordinary.senders).len() <= SENDERS, "{sender:?}");
    }
}
