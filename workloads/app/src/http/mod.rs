//! The HTTP API. Every answer is JSON; a refusal is a problem (RFC 9457) with a stable type and CamelCase reason.

mod access;
mod lock;
mod page;
mod payments;
mod peer;
mod problem;
mod wallets;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use workload::health::{Probed, Readiness};

pub(crate) use peer::Peer;

use crate::{app::App, domain::Scope, health::State, http::problem::Problem};

/// Longest request body, bytes.
const LONGEST_BODY: usize = 16 << 10;

/// All routes of the API, each behind the scope that it needs. Health and metrics have a port of their own.
pub(crate) fn router(app: Arc<App>) -> Router {
    let needs = |scope: Scope| from_fn_with_state(scope, access::require);
    // After the scope: who may not ask is not told.
    let unlocked = || from_fn_with_state(app.clone(), lock::unlocked);
    let read = Router::new()
        .route("/wallets", get(wallets::list))
        .route("/wallets/{id}", get(wallets::show))
        .route("/payments", get(payments::list))
        .route("/payments/{id}", get(payments::show))
        .route_layer(unlocked())
        .route_layer(needs(Scope::Read));
    let create = Router::new()
        .route("/wallets", post(wallets::create))
        .route_layer(unlocked())
        .route_layer(needs(Scope::Wallets));
    let pay =
        Router::new().route("/payments", post(payments::create)).route_layer(unlocked()).route_layer(needs(Scope::Pay));
    read.merge(create)
        .merge(pay)
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "UnknownPath", "there is no such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path does not support this method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(app.clone(), access::authenticate))
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
