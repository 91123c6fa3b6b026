//! Figures for the owner's monitoring.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use custody::Role;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::{ops::Class, subject::Lane};

use crate::clocks::Clocks;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Peer {
    peer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnedAway {
    class: &'static str,
    reason: &'static str,
}

/// Clones share their figures.
#[derive(Clone, Default)]
pub struct Metrics {
    rejected: Family<Reason, Counter>,
    skew: Family<Peer, Gauge>,
    difference: Family<Peer, Gauge<f64, AtomicU64>>,
    clocks: Arc<Mutex<Clocks>>,
    unopened: Family<LaneLabel, Counter>,
    overloads: Family<TurnedAway, Counter>,
    in_flight: Family<ClassLabel, Gauge>,
    in_flight_bytes: Family<ClassLabel, Gauge>,
    retries: Counter,
}

impl Metrics {
    /// Registers everything that [`Caller`](crate::Caller) and [`Server`](crate::Server) count.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { rejected, skew, difference, clocks: _, unopened, overloads, in_flight, in_flight_bytes, retries } =
            metrics.clone();
        registry.register("link_rejected", "Envelopes dropped unanswered, by reason", rejected);
        registry.register("link_clock_skew_ms", "Own clock minus sending clock at the last envelope, by peer", skew);
        registry.register(
            "link_clock_difference_seconds",
            "Peer's clock minus own clock as far as it is certain, 0 below 2.5 s, by peer",
            difference,
        );
        registry.register("link_unopened", "Messages dropped unopened because their lane was full, by lane", unopened);
        registry.register(
            "link_overloads",
            "Verified requests turned away for now, by class and reason (Busy, SenderQuota)",
            overloads,
        );
        registry.register("link_in_flight", "Requests that run or wait, by class", in_flight);
        registry.register(
            "link_in_flight_bytes",
            "Bytes of the requests that run or wait and of their largest answers, by class",
            in_flight_bytes,
        );
        registry.register("link_retries", "Requests sent again", retries);
        metrics
    }

    /// Envelopes dropped for this reason so far.
    pub fn rejected(&self, reason: &'static str) -> u64 {
        self.rejected.get_or_create(&Reason { reason }).get()
    }

    pub(crate) fn reject(&self, reason: &'static str) {
        self.rejected.get_or_create(&Reason { reason }).inc();
    }

    /// Travel time is part of it, which is small beside what is tolerated.
    pub(crate) fn observe_clock(&self, peer: Role, now_ms: u64, iat_ms: u64) {
        let skew = i64::try_from(i128::from(now_ms) - i128::from(iat_ms)).unwrap_or(i64::MAX);
        self.skew.get_or_create(&Peer { peer: peer.as_str() }).set(skew);
    }

    /// Whose clock is known to differ, by how much and what to do, in one line; none where nobody's is.
    pub fn clocks(&self) -> Option<String> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).describe()
    }

    /// The same of one peer.
    pub(crate) fn clock_of(&self, peer: Role) -> Option<String> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).describe_one(peer)
    }

    /// Keeps what an envelope of `peer` has told of its clock.
    pub(crate) fn compare_clocks(&self, peer: Role, note: impl FnOnce(&mut Clocks)) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut clocks);
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
        let seconds = clocks.known(peer) as f64 / 1_000.0;
        self.difference.get_or_create(&Peer { peer: peer.as_str() }).set(seconds);
    }

    /// Messages of a lane dropped unopened so far.
    pub fn unopened(&self, lane: Lane) -> u64 {
        self.unopened.get_or_create(&LaneLabel { lane: lane.as_str() }).get()
    }

    pub(crate) fn drop_unopened(&self, lane: Lane) {
        self.unopened.get_or_create(&LaneLabel { lane: lane.as_str() }).inc();
    }

    /// Verified requests of a class turned away for this reason so far.
    pub fn turned_away(&self, class: Class, reason: &'static str) -> u64 {
        self.overloads.get_or_create(&TurnedAway { class: class.as_str(), reason }).get()
    }

    pub(crate) fn turn_away(&self, class: Class, reason: &'static str) {
        self.overloads.get_or_create(&TurnedAway { class: class.as_str(), reason }).inc();
    }

    /// One request of a class more (1) or less (-1), of so many bytes.
    pub(crate) fn under_way(&self, class: Class, requests: i64, bytes: usize) {
        let label = ClassLabel { class: class.as_str() };
        self.in_flight.get_or_create(&label).inc_by(requests);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(requests);
        self.in_flight_bytes.get_or_create(&label).inc_by(bytes);
    }

    pub(crate) fn retry(&self) {
        self.retries.inc();
    }
}
