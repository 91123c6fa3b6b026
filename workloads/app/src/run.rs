//! `app run`: wires the parts and serves until it is told to end.

use std::{collections::BTreeSet, fmt::Debug, fs, future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use chain::{ChainClient, Journal, Relaying};
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    app::App,
    backup::{self, Secrets},
    broker::Broker,
    busy::Busy,
    calls::Calls,
    config::{ConfigError, RelayerSettings, Settings},
    heads::Heads,
    health::Health,
    http::{self, Peer},
    identity::AppKeys,
    jobs,
    journal::Sent,
    metrics::Metrics,
    signers::Signers,
    store::{Store, sqlite::Sqlite},
    tls::TlsListener,
    trust::Trust,
};

/// How long requests in flight may take when the process ends.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT. Payments may stop at any point: they go on at the next start.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    let keys = AppKeys::load(&settings.identity_dir)?;
    let (listener, health) = (bind(settings.listen).await?, bind(settings.health_listen).await?);
    let (metrics, link_metrics) = Metrics::new();
    let calls = Calls::default();
    let broker = Broker::new(&settings, keys, calls.clone(), link_metrics)?;
    let secrets = settings.secrets();
    let (data_dir, schedule) = (settings.data_dir.clone(), settings.backups.clone());
    let (access, tls) = (settings.access.clone(), settings.tls.clone().map(ArcSwap::new).map(Arc::new));
    let app = Arc::new(app(settings, client, Signers::new(Box::new(calls), metrics.clone()), metrics)?);
    tracing::info!(epoch = app.store.epoch().await?.0, "the database");
    tokio::spawn(broker.keep(app.clone()));
    tokio::spawn(jobs::watch_node(app.clone()));
    tokio::spawn(jobs::recover(app.clone()));
    tokio::spawn(jobs::relay(app.clone()));
    tokio::spawn(backup::serve(app.clone(), secrets.clone(), data_dir.clone()));
    if let Some(schedule) = schedule {
        tokio::spawn(backup::keep(app.clone(), secrets, data_dir, schedule));
    }
    tokio::spawn(jobs::watch_access(app.clone(), access, tls.clone(), signal(SignalKind::hangup())?));
    let probed = tokio::spawn(workload::health::serve(health, app.clone()));
    let (listen, relayers) = (listener.local_addr()?, app.client.relayers());
    tracing::info!(%listen, tls = tls.is_some(), ?relayers, "serving");
    let served = match tls {
        None => serve(listener, app).await,
        Some(tls) => serve(TlsListener::new(listener, tls)?, app).await,
    };
    probed.abort();
    served
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))
}

impl Settings {
    /// What belongs into a backup beside the database.
    pub(crate) fn secrets(&self) -> Secrets {
        let (identity_dir, relayer_keys) = (self.identity_dir.clone(), self.relayer.key_files.clone());
        Secrets { custody: self.manifest.custody_id(), identity_dir, relayer_keys }
    }
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
    workload::volume::check(&settings.data_dir)?;
    let (dir, rules) = (&settings.data_dir, settings.chain.rules.clone());
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(dir, rules, Timestamp::now)?);
    Ok(App {
        trust: Trust::new(&settings)?,
        client: connect(&settings, Arc::new(Sent(store.clone())))?,
        store,
        client_keys: settings.client_keys,
        callers: ArcSwap::new(Arc::new(settings.callers)),
        signers,
        busy: Busy::default(),
        heads: Heads::default(),
        health: Health::default(),
        metrics,
    })
}

/// The nodes, with the relayer's keys.
pub(crate) fn client(settings: &Settings, journal: Arc<dyn Journal>) -> Result<Arc<dyn ChainClient>> {
    let RelayerSettings { key_files, limits } = &settings.relayer;
    let connect = |keys: &[&str]| {
        let relaying = Relaying { keys, limits: *limits, journal: journal.clone() };
        chain_clients::connect(settings.chain.rules.id(), &settings.chain.access, Some(&relaying))
    };
    let mut keys = Vec::new();
    for path in key_files {
        let key = text_file::read_to_string(path).map_err(|error| ConfigError::file(path, error))?;
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

async fn serve<L>(listener: L, app: Arc<App>) -> Result<()>
where
    L: Listener,
    L::Addr: Debug,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let stop = CancellationToken::new();
    let service = http::router(app).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
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
