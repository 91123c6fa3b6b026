//! `/livez`, `/readyz`, `/metrics`: for the kubelet and Prometheus of this cluster. Nothing here changes anything.

use std::sync::Arc;

use axum::{
    Router,
    extract::State as Shared,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use custody::report::WorkloadState;
use tokio::{net::TcpListener, sync::watch};

use crate::metrics::Metrics;

/// WorkloadState and message, as in the report.
pub(crate) type Status = (WorkloadState, String);

struct Served {
    status: watch::Receiver<Status>,
    metrics: Arc<Metrics>,
}

/// Serves until the task is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    status: watch::Receiver<Status>,
    metrics: Arc<Metrics>,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Served { status, metrics }));
    axum::serve(listener, routes).await
}

/// Ready is serving; everything else is 503 with the state and what to do.
async fn ready(Shared(served): Shared<Arc<Served>>) -> impl IntoResponse {
    let (state, message) = served.status.borrow().clone();
    let code = if state == WorkloadState::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{state:?}: {message}\n"))
}

async fn metrics_text(Shared(served): Shared<Arc<Served>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], served.metrics.text())
}
