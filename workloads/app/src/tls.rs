//! The API over TLS: the server's certificate, and, where an authority is configured, its clients'.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::serve::Listener;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most handshakes at once.
const HANDSHAKES: usize = 256;

/// Where the certificates are; PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The server's chain, its own certificate first.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities of clients' certificates. Absent: none is asked for.
    pub(crate) client_ca: Option<PathBuf>,
}

/// Why the API can't be served over TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("tls: {}: {error}; expected PEM", path.display())]
    Pem { path: PathBuf, error: pem::Error },
    #[error("tls: certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("tls.clientCaFile: {0}")]
    Authority(#[from] VerifierBuilderError),
}

impl TlsFiles {
    /// Reads the files as they are now.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unreadable(&self.key, error))?;
        let builder = ServerConfig::builder();
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority)?;
                }
                // Without a certificate a caller may still have a token.
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(unreadable(path, pem::Error::NoItemsFound)),
        all => all.map_err(|error| unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: pem::Error) -> TlsError {
    TlsError::Pem { path: path.to_owned(), error }
}

/// Connections whose handshake is done. A slow one keeps nobody else waiting.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl TlsListener {
    /// `config` may be exchanged while it listens; it is for connections that come after.
    pub(crate) fn new(listener: TcpListener, config: Arc<ArcSwap<ServerConfig>>) -> io::Result<Self> {
        let (local, (send, ready)) = (listener.local_addr()?, mpsc::channel(HANDSHAKES));
        tokio::spawn(greet(listener, config, send));
        Ok(Self { ready, local })
    }
}

async fn greet(
    mut listener: TcpListener,
    config: Arc<ArcSwap<ServerConfig>>,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    while let Ok(permit) = room.clone().acquire_owned().await {
        let (stream, address) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = ready.closed() => return,
        };
        let (acceptor, ready) = (TlsAcceptor::from(config.load_full()), ready.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(ready.send((stream, address)).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS connection"),
                Err(_) => tracing::debug!(%address, "no TLS handshake in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Only if the task that accepts has ended, with the process.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
