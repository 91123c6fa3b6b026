//! Figures for the owner's monitoring.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use custody::Role;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::clocks::Clocks;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Peer {
    peer: &'static str,
}

/// Clones share their figures.
#[derive(Clone, Default)]
pub struct Metrics {
    rejected: Family<Reason, Counter>,
    skew: Family<Peer, Gauge>,
    difference: Family<Peer, Gauge<f64, AtomicU64>>,
    clocks: Arc<Mutex<Clocks>>,
    overloads: Counter,
    retries: Counter,
}

impl Metrics {
    /// Registers everything that [`Caller`](crate::Caller) and [`Server`](crate::Server) count.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { rejected, skew, difference, clocks: _, overloads, retries } = metrics.clone();
        registry.register("link_rejected", "Envelopes dropped unanswered, by reason", rejected);
        registry.register("link_clock_skew_ms", "Own clock minus sending clock at the last envelope, by peer", skew);
        registry.register(
            "link_clock_difference_seconds",
            "Peer's clock minus own clock as far as it is certain, 0 below 2.5 s, by peer",
            difference,
        );
        registry.register("link_overloads", "Requests turned away because too many were waiting", overloads);
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

    pub(crate) fn overload(&self) {
        self.overloads.inc();
    }

    pub(crate) fn retry(&self) {
        self.retries.inc();
    }
}
