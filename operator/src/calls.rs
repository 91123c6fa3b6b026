//! One way to call an API server: with a deadline, and with errors sorted by what can be done about them.

use std::{future::Future, time::Duration};

use kube::core::Status;
use multisig_api::conditions::reason;

use crate::conditions::Finding;

/// No call takes longer. It is below the lease's slack, so that no call of a leader outlives its lease.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a call did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// No connection, no answer, or none in time.
    #[error("{0}")]
    Unreachable(String),
    /// The credential is not accepted.
    #[error("the API server refuses the credential (401)")]
    Unauthorized,
    /// The credential is accepted but lacks the right.
    #[error("{}", .0.message)]
    Forbidden(Box<Status>),
    /// Somebody else changed the object in between.
    #[error("{}", .0.message)]
    Conflict(Box<Status>),
    /// Any other answer of the API server.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
    /// The answer can't be read, or the request can't be built.
    #[error("{0}")]
    Malformed(String),
}

impl CallError {
    /// Whether the target could not be reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::Unauthorized,
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden(status),
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => Self::Conflict(status),
            // The front end of an API server that is going down or coming up: as good as no answer.
            kube::Error::Api(status) if matches!(status.code, 429 | 502..=504) => {
                Self::Unreachable(format!("it answered {}: {}", status.code, status.message))
            }
            kube::Error::Api(status) => Self::Refused(status),
            error @ (kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_)) => {
                Self::Unreachable(root_cause(&error))
            }
            error => Self::Malformed(root_cause(&error)),
        }
    }
}

/// As seen by whoever wanted to know something of a member.
impl From<&CallError> for Finding {
    fn from(error: &CallError) -> Self {
        let prepare = "the data centre admin must run `multisig member prepare` again";
        match error {
            CallError::Unreachable(why) => Self::bad(
                reason::UNREACHABLE,
                format!(
                    "the API server does not answer: {why}; check the address in the kubeconfig, the firewalls and \
                     the cluster itself"
                ),
            ),
            CallError::Unauthorized => {
                Self::bad(reason::UNAUTHORIZED, format!("the member refuses the hub's credential; {prepare}"))
            }
            CallError::Forbidden(status) => Self::bad(reason::FORBIDDEN, format!("{}; {prepare}", status.message)),
            error => Self::unknown(reason::NOT_OBSERVED, format!("the member could not be queried: {error}")),
        }
    }
}

/// Runs a call under [`TIMEOUT`].
pub async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(CallError::Unreachable(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

/// The innermost cause, where the others only say "error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
