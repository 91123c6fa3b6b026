//! Refusals.

use axum::{
    Json,
    body::Bytes,
    extract::rejection::BytesRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chain::ClientError;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    service::{payments::Rejected, wallets::WalletError},
    store::StoreError,
};

/// Why a request was not done.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    reason: String,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into() }
    }

    /// The request is understood, and wrong.
    pub(super) fn invalid(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason, message)
    }

    pub(super) fn unknown_wallet(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownWallet",
            format!("there is no wallet '{id}'; create it with POST /wallets"),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
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
pub(super) fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), "UnreadableBody", rejection.body_text()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "MalformedBody", format!("malformed body: {error}")))
}
