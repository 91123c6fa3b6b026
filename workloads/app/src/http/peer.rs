//! Whoever is at the other end of a connection.

use std::sync::Arc;

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;

use crate::tls::TlsListener;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Verified up to the configured authority; absent where none was shown.
    pub(super) certificate: Option<Arc<CertificateDer<'static>>>,
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self { certificate: None }
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        let (_, session) = stream.io().get_ref();
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        Self { certificate: shown.map(|certificate| Arc::new(certificate.clone().into_owned())) }
    }
}
