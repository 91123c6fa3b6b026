//! What Prometheus reads.

use std::{sync::Mutex, time::Duration};

use custody::report::WorkloadState;
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
