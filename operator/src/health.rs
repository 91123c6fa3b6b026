//! `/livez`, `/readyz`, `/metrics`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use crate::metrics::SharedMetrics;

/// What has to be in place before this process is of use.
#[derive(Default)]
pub struct Gates(Mutex<BTreeMap<&'static str, Option<String>>>);

impl Gates {
    /// A gate that is closed, and why.
    pub fn close(&self, gate: &'static str, why: impl Into<String>) {
        self.set(gate, Some(why.into()));
    }

    /// A gate that is open.
    pub fn open(&self, gate: &'static str) {
        self.set(gate, None);
    }

    fn set(&self, gate: &'static str, why: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(gate, why);
    }

    /// Whether all are open, and a line for each.
    pub fn report(&self) -> (bool, String) {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(gate, why): (&&str, &Option<String>)| match why {
            None => format!("[+] {gate}\n"),
            Some(why) => format!("[-] {gate}: {why}\n"),
        };
        (gates.values().all(Option::is_none), gates.iter().map(line).collect())
    }
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, gates: Arc<Gates>, metrics: SharedMetrics) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(gates)
        .route("/metrics", get(text))
        .with_state(metrics);
    axum::serve(listener, router).await
}

/// Takes the address before anything else is tried, so that a wrong one is told at once.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

async fn readyz(State(gates): State<Arc<Gates>>) -> (StatusCode, String) {
    let (open, report) = gates.report();
    (if open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

async fn text(State(metrics): State<SharedMetrics>) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_the_gate_that_is_closed() {
        let gates = Gates::default();
        gates.close("crds", "MultisigCluster is not installed");
        gates.open("hub");
        assert_eq!(gates.report(), (false, "[-] crds: MultisigCluster is not installed\n[+] hub\n".to_owned()));
        gates.open("crds");
        assert!(gates.report().0);
    }
}
