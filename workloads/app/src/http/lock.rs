//! While App is locked it answers nothing: a payment that it does not know yet must not look as if it had never been.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;
use crate::app::App;

/// Lets the request through once the signers' records are read.
pub(super) async fn unlocked(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.health.locked() {
        None => next.run(request).await,
        Some(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Locked", why).into_response(),
    }
}
