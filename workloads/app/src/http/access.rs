//! Who calls, and whether they may. Everything that this API serves is behind it, unknown paths too.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{peer::Peer, problem::Problem};
use crate::{app::App, callers::Caller, domain::Scope};

/// Lets known callers pass, and tells the handlers who it is.
pub(super) async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match caller(&app, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets those pass whose line names the scope.
pub(super) async fn require(State(scope): State<Scope>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.scopes.contains(&scope) => next.run(request).await,
        _ => Problem::missing_scope(scope).into_response(),
    }
}

/// A token that is sent decides; else the certificate of the connection.
fn caller(app: &App, request: &Request) -> Result<Caller, Problem> {
    let callers = app.callers.load();
    let found = match request.headers().get(AUTHORIZATION) {
        Some(sent) => {
            let token = sent.to_str().ok().and_then(bearer);
            let unknown = "this bearer token is not one of the callers' file; it may have been replaced";
            return token
                .and_then(|token| callers.by_token(token))
                .cloned()
                .ok_or_else(|| Problem::unauthenticated("InvalidToken", unknown, Some("invalid_token")));
        }
        None => {
            let peer = request.extensions().get::<ConnectInfo<Peer>>();
            let certificate = peer.and_then(|ConnectInfo(peer)| peer.certificate.as_ref());
            certificate.and_then(|certificate| callers.by_certificate(certificate))
        }
    };
    let missing = "send the header 'Authorization: Bearer TOKEN' with a token from `app token`, or, where App asks for \
                   certificates, one that the callers' file names";
    found.cloned().ok_or_else(|| Problem::unauthenticated("CredentialsMissing", missing, None))
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
