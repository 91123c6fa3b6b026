//! Refusals, as problem details (RFC 9457).

use axum::{
    body::Bytes,
    extract::{Path, Query, rejection::BytesRejection, rejection::PathRejection, rejection::QueryRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use chain::ClientError;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    domain::Scope,
    service::{payments::Rejected, wallets::WalletError},
    store::StoreError,
};

/// What every type of problem begins with; the reason in lower case follows.
const TYPE: &str = "urn:multisig:problem:";
const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// CamelCase; stable.
    reason: String,
    /// What happened, and what to do.
    detail: String,
    /// How to show who one is.
    challenge: Option<String>,
}

/// Its members, by the standard's names; `reason` is ours.
#[derive(Serialize)]
struct View {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    reason: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &str, detail: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), detail: detail.into(), challenge: None }
    }

    /// The request is understood, and wrong.
    pub(super) fn invalid(reason: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason, detail)
    }

    pub(super) fn unknown_wallet(id: &str) -> Self {
        let detail = format!("there is no wallet '{id}'; create it with POST /wallets");
        Self::new(StatusCode::NOT_FOUND, "UnknownWallet", detail)
    }

    /// Nobody is known to be calling (RFC 6750, section 3).
    pub(super) fn unauthenticated(reason: &str, detail: &str, error: Option<&str>) -> Self {
        let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
        let challenge = Some(format!("Bearer realm=\"app\"{error}"));
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, reason, detail) }
    }

    /// Whoever calls may not do this.
    pub(super) fn missing_scope(scope: Scope) -> Self {
        let scope = scope.as_str();
        let detail =
            format!("this needs the scope '{scope}', which the caller's line in the callers' file does not name");
        let challenge = Some(format!("Bearer realm=\"app\", error=\"insufficient_scope\", scope=\"{scope}\""));
        Self { challenge, ..Self::new(StatusCode::FORBIDDEN, "MissingScope", detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, reason, detail, challenge } = self;
        let words = words(&reason);
        let title = words.join(" ");
        let title = title.get(..1).map(str::to_uppercase).unwrap_or_default() + title.get(1..).unwrap_or_default();
        let r#type = format!("{TYPE}{}", words.join("-"));
        let view = View { r#type, title, status: status.as_u16(), detail, reason };
        // Strings and a number: writing them does not fail.
        let body = serde_json::to_vec(&view).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The words of a CamelCase name in lower case; whatever else a signer put into its reason is left out.
fn words(reason: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for character in reason.chars().filter(char::is_ascii_alphanumeric) {
        match words.last_mut() {
            Some(word) if !character.is_ascii_uppercase() => word.push(character),
            _ => words.push(character.to_ascii_lowercase().to_string()),
        }
    }
    words
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the database failed; see App's log")
    }
}

impl From<WalletError> for Problem {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::Refused(refused) => Self::new(StatusCode::CONFLICT, &refused.reason, refused.to_string()),
            WalletError::NotYet(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "NotYet", error.to_string()),
            WalletError::Distrust(_) => Self::new(StatusCode::BAD_GATEWAY, "NotBelieved", error.to_string()),
            WalletError::Unverified(ClientError::Contracts { .. }) => {
                Self::new(StatusCode::CONFLICT, "NoContracts", error.to_string())
            }
            WalletError::Unverified(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "NodeAway", error.to_string()),
            WalletError::Chain(error) => Self::invalid("InvalidValue", error.to_string()),
            WalletError::Store(error) => error.into(),
        }
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::UnknownWallet(id) => Self::unknown_wallet(id.as_str()),
            Rejected::Refused(refusal) => Self::invalid(refusal.reason, refusal.message),
            Rejected::KeyReused => Self::new(StatusCode::CONFLICT, "IdempotencyKeyReused", rejected.to_string()),
            Rejected::Wallet(error) => error.into(),
            Rejected::Store(error) => error.into(),
        }
    }
}

/// Reads a JSON body; unknown fields are the type's to refuse.
pub(super) fn parse<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // A browser sends no other site's JSON without asking first.
    if !kind.eq_ignore_ascii_case(JSON) {
        let detail = format!("the body must be JSON and say so: send Content-Type: {JSON}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", detail));
    }
    let body = body.map_err(|rejection| Problem::new(rejection.status(), "UnreadableBody", rejection.body_text()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "MalformedBody", format!("malformed body: {error}")))
}

/// The last part of a path.
pub(super) fn id(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let malformed = |rejection: PathRejection| Problem::new(rejection.status(), "MalformedPath", rejection.body_text());
    path.map(|Path(id)| id).map_err(malformed)
}

/// The parameters after `?`; unknown ones are the type's to refuse.
pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let malformed = |rejection: QueryRejection| Problem::new(rejection.status(), "InvalidQuery", rejection.body_text());
    query.map(|Query(query)| query).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_as_a_type_and_in_words() {
        for (reason, expected) in [
            ("UnknownWallet", "unknown wallet"),
            ("Internal", "internal"),
            ("NonceUsed\" <x>", "nonce usedx"),
            ("", ""),
        ] {
            assert_eq!(words(reason).join(" "), expected);
        }
    }
}
