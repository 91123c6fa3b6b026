//! The HTTP API. Every answer is JSON; a refusal is `{"reason", "message"}` with a stable CamelCase reason.

mod payments;
mod problem;
mod wallets;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{app::App, health, http::problem::Problem};

/// Longest request body, bytes.
const LONGEST_BODY: usize = 16 << 10;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/wallets", post(wallets::create))
        .route("/wallets/{id}", get(wallets::show))
        .route("/payments", post(payments::create))
        .route("/payments/{id}", get(payments::show))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "UnknownPath", "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path does not take this method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(app)
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let readiness = app.health.readiness();
    let serving = readiness.state == health::State::Serving;
    app.metrics.serving.set(serving.into());
    let status = if serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = app.metrics.text(&app.store.counts().await?);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}
