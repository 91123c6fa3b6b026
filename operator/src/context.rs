//! What every reconcile uses.

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use crate::{members::client::Members, metrics::SharedMetrics, nats::broker::Brokers};

/// Shared by the controllers of a process.
pub struct Context {
    /// The hub's API server.
    pub hub: Client,
    /// The members that have been called.
    pub members: Members,
    /// The brokers that have been called.
    pub brokers: Brokers,
    /// Counters and gauges.
    pub metrics: SharedMetrics,
    /// Publishes Events on the hub.
    pub recorder: Recorder,
}

impl Context {
    /// For `hub`; `instance` names this process in Events.
    pub fn new(hub: Client, instance: &str, metrics: SharedMetrics) -> Self {
        let reporter = Reporter { controller: "multisig.dev/operator".to_owned(), instance: Some(instance.to_owned()) };
        Self {
            recorder: Recorder::new(hub.clone(), reporter),
            members: Members::new(metrics.clone()),
            brokers: Brokers::default(),
            hub,
            metrics,
        }
    }
}
