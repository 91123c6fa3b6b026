//! The process itself: store, HTTP, agent, and an orderly end.

use std::{net::SocketAddr, sync::Arc};

use clock::now_ms;
use custody::{Role, report::WorkloadState};
use rand_core::{OsRng, RngCore};
use signer::{
    pipeline::Signer,
    store::{Store, StoreError},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use workload::{hardening::harden, health, place::Place, telemetry, volume};

use crate::{agent::Agent, broker::Broker, health::Health, metrics::Metrics};

/// Why the process did not start or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store must not be opened where it is.
    #[error(transparent)]
    Volume(#[from] volume::VolumeError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause}; choose another --listen")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The HTTP server ended.
    #[error("the HTTP server ended: {0}")]
    Http(std::io::Error),
    /// No signal handler.
    #[error("cannot wait for signals: {0}")]
    Signal(std::io::Error),
}

/// Runs until SIGTERM or SIGINT, then answers what was taken and ends.
pub(crate) async fn run(role: Role, place: Place, listen: SocketAddr) -> Result<(), ProcessError> {
    telemetry::for_process();
    harden();
    let mut terminate = signal(SignalKind::terminate()).map_err(ProcessError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ProcessError::Signal)?;
    let unheard = |cause| ProcessError::Listen { address: listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(unheard)?;
    volume::check(&place.data_dir)?;
    let store = Arc::new(Store::open(&place.data_dir)?);

    let metrics = Arc::new(Metrics::new());
    let (status, seen) = watch::channel((WorkloadState::Starting, "just started".to_owned()));
    let mut instance = [0; 16];
    OsRng.fill_bytes(&mut instance);
    let signer = Arc::new(Signer::new(store.clone(), instance, Arc::new(now_ms)));
    let broker = Broker::new(signer.clone(), metrics.clone());
    let mut agent = Agent::new(role, place, store, signer, broker, metrics.clone(), status);
    let http = tokio::spawn(health::serve(listener, Arc::new(Health { status: seen, metrics })));
    tracing::info!(%role, version = env!("CARGO_PKG_VERSION"), "started");

    let ended = tokio::select! {
        () = agent.run() => Ok(()),
        outcome = http => Err(ProcessError::Http(outcome.map_err(std::io::Error::other).and_then(|served| served).err()
            .unwrap_or_else(|| std::io::Error::other("it returned")))),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    tracing::info!("ending");
    agent.stop().await;
    ended
}
