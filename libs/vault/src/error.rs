//! What can go wrong between a workload or an admin and a Vault, in words that say what to do.

use rustify::errors::ClientError as Http;
use vaultrs::error::ClientError;

/// Why a Vault did not do what was asked. `Clone`, since one answer may be for many askers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Address, CA bundle or names are malformed.
    #[error("Vault settings: {0}; correct them in the member trust")]
    Settings(String),
    /// The projected service-account token is not there.
    #[error("cannot read the projected token {path}: {cause}; the pod's `vault` volume must be mounted there")]
    TokenFile {
        /// The file.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// No answer, or one that is not a Vault's.
    #[error("the Vault at {address} does not answer ({cause}); start it or correct its address, CA bundle or network")]
    Away {
        /// The Vault.
        address: String,
        /// Innermost cause.
        cause: String,
    },
    /// The Vault answers that it is sealed or not initialised.
    #[error("the Vault at {address} is sealed; unseal it")]
    Sealed {
        /// The Vault.
        address: String,
    },
    /// Login was refused.
    #[error(
        "the Vault refused the login at auth/{mount} as role {role} ({cause}); run `multisig member prepare` again so \
         that it trusts this cluster's tokens"
    )]
    Login {
        /// Auth mount.
        mount: String,
        /// Role.
        role: String,
        /// The Vault's words.
        cause: String,
    },
    /// The admin's token is unknown, expired or revoked.
    #[error("the Vault does not accept the admin's token ({cause}); take a valid one")]
    AdminToken {
        /// The Vault's words.
        cause: String,
    },
    /// The admin's token is valid, but its policy leaves something out.
    #[error("the admin's token may not write {path}; take one whose policy allows it")]
    AdminRights {
        /// API path.
        path: String,
    },
    /// The token may not do this.
    #[error("the Vault denied {path} ({cause}); run `multisig member prepare` again to restore the policy")]
    Denied {
        /// API path.
        path: String,
        /// The Vault's words.
        cause: String,
    },
    /// Mount, key or role is not there.
    #[error("the Vault has no {path} ({cause}); run `multisig member prepare` to make it")]
    Missing {
        /// API path.
        path: String,
        /// The Vault's words.
        cause: String,
    },
    /// Too many requests.
    #[error("the Vault at {address} limits the rate of requests; raise its quota or ask less")]
    Throttled {
        /// The Vault.
        address: String,
    },
    /// Not sealed by this key for this context: damaged, moved to another row, or below the key's minimum version.
    #[error(
        "a sealed value does not open ({0}): it is damaged, was moved from another row, or its key version is gone"
    )]
    BadCiphertext(String),
    /// A key or mount that exists already and must not be used.
    #[error("{0}")]
    Unsafe(String),
    /// A key of the cluster's JWKS can't be used.
    #[error("the cluster's JWKS is not usable: {0}")]
    Jwks(String),
    /// Anything else that a Vault answered.
    #[error("the Vault answered {path} with status {code} ({cause})")]
    Unexpected {
        /// API path.
        path: String,
        /// HTTP status.
        code: u16,
        /// The Vault's words.
        cause: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody changing the request.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Error::BadCiphertext(_) | Error::Unsafe(_) | Error::Jwks(_) | Error::Settings(_))
    }
}

/// A failed call before it has a meaning: a status with the Vault's words, or no answer at all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Status { code: u16, errors: Vec<String>, body: Option<String> },
    NoAnswer(String),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::APIError { code, errors } => Failure::Status { code, errors, body: None },
            ClientError::RestClientError { source: Http::ServerResponseError { code, content } } => {
                Failure::Status { code, errors: Vec::new(), body: content }
            }
            // Never the content: it may hold plaintext.
            ClientError::RestClientError { source: Http::ResponseParseError { .. } } => {
                Failure::NoAnswer("the answer is not a Vault's".to_owned())
            }
            other => Failure::NoAnswer(innermost(&other)),
        }
    }
}

/// The last cause of a chain: vaultrs and reqwest keep what matters there.
fn innermost(error: &ClientError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The meaning of a failure for a call to `path`.
pub(crate) fn classify(address: &str, path: &str, failure: Failure) -> Error {
    let (code, errors) = match failure {
        Failure::NoAnswer(cause) => return Error::Away { address: address.to_owned(), cause },
        Failure::Status { code, errors, .. } => (code, errors),
    };
    let address = address.to_owned();
    let path = path.to_owned();
    let cause = if errors.is_empty() { "no reason given".to_owned() } else { errors.join("; ").replace('\n', " ") };
    match code {
        403 => Error::Denied { path, cause },
        404 => Error::Missing { path, cause },
        429 => Error::Throttled { address },
        400 if cause.contains("encryption key not found") => Error::Missing { path, cause },
        500 | 503 if sealed(&cause) => Error::Sealed { address },
        300..=399 | 412 | 472 | 473 | 502..=504 => Error::Away { address, cause: format!("status {code}: {cause}") },
        _ => Error::Unexpected { path, code, cause },
    }
}

fn sealed(cause: &str) -> bool {
    ["Vault is sealed", "barrier is sealed", "not initialized"].iter().any(|words| cause.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, words: &str) -> Error {
        let failure = Failure::Status { code, errors: vec![words.to_owned()], body: None };
        classify("https://vault:8200", "transit/decrypt/k", failure)
    }

    #[test]
    fn every_status_has_one_meaning() {
        let address = || "https://vault:8200".to_owned();
        let path = || "transit/decrypt/k".to_owned();
        let table = [
            (503, "Vault is sealed", Error::Sealed { address: address() }),
            (503, "Security barrier not initialized", Error::Sealed { address: address() }),
            (403, "permission denied", Error::Denied { path: path(), cause: "permission denied".into() }),
            (404, "no handler", Error::Missing { path: path(), cause: "no handler".into() }),
            (
                400,
                "encryption key not found",
                Error::Missing { path: path(), cause: "encryption key not found".into() },
            ),
            (429, "rate", Error::Throttled { address: address() }),
            (473, "standby", Error::Away { address: address(), cause: "status 473: standby".into() }),
            (500, "1 error\noccurred", Error::Unexpected { path: path(), code: 500, cause: "1 error occurred".into() }),
        ];
        for (code, words, meaning) in table {
            assert_eq!(answer(code, words), meaning);
        }
    }

    #[test]
    fn no_answer_is_away_and_may_be_tried_again() {
        let error = classify("https://vault:8200", "x", Failure::NoAnswer("Connection refused".into()));
        assert!(error.is_transient());
        assert!(error.to_string().contains("Connection refused"));
        assert!(!Error::BadCiphertext("x".into()).is_transient());
    }

    #[test]
    fn plaintext_in_an_unreadable_answer_is_dropped() {
        let http = Http::ResponseParseError {
            source: std::io::Error::other("expected").into(),
            content: Some("plaintext canary".to_owned()),
        };
        let failure = Failure::from(ClientError::RestClientError { source: http });
        assert!(!format!("{failure:?}").contains("canary"));
    }
}
