//! The callers, and which of them somebody is.

use std::collections::BTreeSet;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

use super::token::hash;
use crate::domain::{CallerName, Scope};

/// Somebody who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: CallerName,
    pub(crate) scopes: BTreeSet<Scope>,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// SHA-256 of a bearer token.
    Token([u8; 32]),
    /// A name (SAN: DNS or IP) in a client certificate by the configured authority.
    Certificate(ServerName<'static>),
}

/// All who may call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Callers(pub(super) Vec<(Caller, Credential)>);

impl Callers {
    /// Whether nobody may.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any is known by a certificate.
    pub(crate) fn use_certificates(&self) -> bool {
        self.0.iter().any(|(_, credential)| matches!(credential, Credential::Certificate(_)))
    }

    /// Whose token it is. How long it takes does not depend on what is right of it.
    pub(crate) fn by_token(&self, token: &str) -> Option<&Caller> {
        let presented = hash(token);
        let mut found = None;
        for (caller, credential) in &self.0 {
            if let Credential::Token(known) = credential
                && verify_slices_are_equal(known, &presented).is_ok()
            {
                found = Some(caller);
            }
        }
        found
    }

    /// Whose certificate it is; TLS has verified its chain. One that fits several callers is nobody's.
    pub(crate) fn by_certificate(&self, certificate: &CertificateDer<'_>) -> Option<&Caller> {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let mut fitting = self.0.iter().filter(|(_, credential)| match credential {
            Credential::Certificate(name) => verify_server_name(&certificate, name).is_ok(),
            Credential::Token(_) => false,
        });
        match (fitting.next(), fitting.next()) {
            (Some((caller, _)), None) => Some(caller),
            _ => None,
        }
    }
}
