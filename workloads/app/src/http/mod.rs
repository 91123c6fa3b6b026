//! The HTTP API. Every answer is JSON; a refusal is `{"reason", "message"}` with a stable CamelCase reason.

mod lock;
mod payments;
mod problem;
mod wallets;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
};

use workload::health::{self, Probed, Readiness};

use crate::{app::App, health::State, http::problem::Problem};

/// Longest request body, bytes.
const LONGEST_BODY: usize = 16 << 10;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/wallets", post(wallets::create))
        .route("/wallets/{id}", get(wallets::show))
        .route("/payments", post(payments::create))
        .route("/payments/{id}", get(payments::show))
        .route_layer(middleware::from_fn_with_state(app.clone(), lock::unlocked))
        .merge(health::routes(app.clone()))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "UnknownPath", "there is no such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path does not support this method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(app)
}

impl Probed for App {
    type Failure = Problem;

    fn readiness(&self) -> Readiness {
        let readiness = self.health.readiness();
        let serves = readiness.state == State::Serving;
        self.metrics.serving.set(serves.into());
        Readiness { state: format!("{:?}", readiness.state), message: readiness.message, serves }
    }

    async fn figures(&self) -> Result<String, Problem> {
        Ok(self.metrics.text(&self.store.counts().await?))
    }
}
