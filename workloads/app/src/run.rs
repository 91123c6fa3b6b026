//! `app run`: wires the parts and serves until it is told to end.

use std::{collections::BTreeSet, fs, future::IntoFuture, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use chain::{ChainClient, Journal, Relaying};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    app::App,
    broker::{Broker, Calls},
    busy::Busy,
    config::{ConfigError, RelayerSettings, Settings},
    health::Health,
    http,
    identity::AppKeys,
    jobs,
    journal::Sent,
    metrics::Metrics,
    signers::Signers,
    store::{Store, sqlite::Sqlite},
    trust::Trust,
};

/// How long requests in flight may take when the process ends.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT. Payments may stop at any point: they go on at the next start.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    let keys = AppKeys::load(&settings.identity_dir)?;
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.with_context(|| format!("can't listen on {}", settings.listen))?;
    let (metrics, link_metrics) = Metrics::new();
    let calls = Calls::default();
    let broker = Broker::new(&settings, keys, calls.clone(), link_metrics)?;
    let app = Arc::new(app(settings, client, Signers::new(Box::new(calls), metrics.clone()), metrics)?);
    jobs::resume(&app).await?;
    tokio::spawn(broker.keep(app.clone()));
    tokio::spawn(jobs::watch_node(app.clone()));
    tokio::spawn(jobs::relay(app.clone()));
    serve(listener, app).await
}

/// Everything that requests and payments share; `connect` makes the chain's client, whose relayer keeps what it sends
/// in the journal.
pub(crate) fn app(
    settings: Settings,
    connect: impl FnOnce(&Settings, Arc<dyn Journal>) -> Result<Arc<dyn ChainClient>>,
    signers: Signers,
    metrics: Metrics,
) -> Result<App> {
    fs::create_dir_all(&settings.data_dir).with_context(|| format!("can't create {}", settings.data_dir.display()))?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&settings.data_dir, settings.chain.rules.clone())?);
    Ok(App {
        trust: Trust::new(&settings)?,
        client: connect(&settings, Arc::new(Sent(store.clone())))?,
        store,
        client_keys: settings.client_keys,
        signers,
        busy: Busy::default(),
        health: Health::default(),
        metrics,
    })
}

/// The node, with the relayer's keys.
pub(crate) fn client(settings: &Settings, journal: Arc<dyn Journal>) -> Result<Arc<dyn ChainClient>> {
    let RelayerSettings { key_files, limits } = &settings.relayer;
    let connect = |keys: &[&str]| {
        let relaying = Relaying { keys, limits: *limits, journal: journal.clone() };
        chain_clients::connect(settings.chain.rules.id(), &settings.chain.access, Some(&relaying))
    };
    let mut keys = Vec::new();
    for path in key_files {
        let key = fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
        let key = Zeroizing::new(key);
        // The URL was tried when the configuration was read: what can be wrong now is the key.
        connect(&[&key]).with_context(|| path.display().to_string())?;
        keys.push(key);
    }
    let client = connect(&keys.iter().map(|key| key.as_str()).collect::<Vec<_>>())?;
    let relayers = client.relayers();
    ensure!(relayers.iter().collect::<BTreeSet<_>>().len() == relayers.len(), "a relayer's key is listed twice");
    Ok(client)
}

async fn serve(listener: TcpListener, app: Arc<App>) -> Result<()> {
    tracing::info!(listen = %listener.local_addr()?, relayers = ?app.client.relayers(), "serving");
    let stop = CancellationToken::new();
    let server = axum::serve(listener, http::router(app)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let mut server = tokio::spawn(server.into_future());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = &mut server => return Ok(served??),
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
    // Whoever is cut off asks again: wallets and payments are idempotent.
    let _ = timeout(GRACE, server).await;
    Ok(())
}
