//! What Prometheus reads.

use std::{sync::Mutex, time::Duration};

use custody::{report::WorkloadState, volume::Room};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use signer::store::Pruned;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    operation: &'static str,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

/// The signer's metrics; parts register their own.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    seconds: Histogram,
    state: Family<StateLabel, Gauge>,
    reports: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("multisig_signer");
        let requests = Family::<Request, Counter>::default();
        let seconds = Histogram::new(exponential_buckets(0.000_5, 2.0, 15));
        let state = Family::<StateLabel, Gauge>::default();
        let reports = Counter::default();
        registry.register("requests", "Answered requests by operation and outcome", requests.clone());
        registry.register("request_seconds", "From the opened envelope to the answer", seconds.clone());
        registry.register("state", "1 for the present state", state.clone());
        registry.register("reports", "Writes of the report", reports.clone());
        Self { registry: Mutex::new(registry), requests, seconds, state, reports }
    }

    /// For parts with metrics of their own.
    pub(crate) fn register<T>(&self, part: impl FnOnce(&mut Registry) -> T) -> T {
        part(&mut self.registry.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    pub(crate) fn answered(&self, operation: &'static str, outcome: &str, took: Duration) {
        self.requests.get_or_create(&Request { operation, outcome: outcome.to_owned() }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn state(&self, present: WorkloadState) {
        self.state.clear();
        self.state.get_or_create(&StateLabel { state: format!("{present:?}") }).set(1);
    }

    pub(crate) fn reported(&self) {
        self.reports.inc();
    }

    /// OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        workload::health::text(&self.registry.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// What is said of the volume.
pub(crate) struct VolumeMetrics {
    size: Gauge,
    free: Gauge,
    reserve: Gauge,
    days_left: Gauge,
    pruned: Counter,
}

impl VolumeMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let [size, free, reserve, days_left]: [Gauge; 4] = Default::default();
        days_left.set(UNKNOWN_DAYS);
        let pruned = Counter::default();
        metrics.register(|registry| {
            registry.register("volume_size_bytes", "Bytes of the volume", size.clone());
            let help = "Bytes left on the volume, with the free pages of the database";
            registry.register("volume_free_bytes", help, free.clone());
            let help = "Bytes that only evacuations, freezes and settlements may use";
            registry.register("volume_reserve_bytes", help, reserve.clone());
            let help = "Days until only the reserve is left, at the rate of the last hours; -1: it is not filling";
            registry.register("volume_days_left", help, days_left.clone());
            registry.register("pruned_rows", "Stored replies and announcements taken away", pruned.clone());
        });
        Self { size, free, reserve, days_left, pruned }
    }

    pub(crate) fn seen(&self, room: &Room, days_left: Option<u64>) {
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.size.set(number(room.space.size));
        self.free.set(number(room.space.free));
        self.reserve.set(number(room.reserve));
        self.days_left.set(days_left.map_or(UNKNOWN_DAYS, number));
    }

    pub(crate) fn pruned(&self, pruned: &Pruned) {
        self.pruned.inc_by((pruned.replies + pruned.announcements) as u64);
    }
}

/// No rate is known, or nothing is used.
const UNKNOWN_DAYS: i64 = -1;
