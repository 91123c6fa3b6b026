//! The process: waits for the hub, its definitions and the lease, leads, and ends when it is told to or can no longer be
//! sure that it leads.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_controller::LeaderElection;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use rand_core::{OsRng, RngCore};
use tokio_util::sync::CancellationToken;

use crate::{
    calls::{CallError, TIMEOUT, within},
    context::Context,
    controllers,
    health::{self, Gates},
    members::client::counted,
    metrics::{Metrics, Target},
    roots,
};

/// How long a lease lasts without renewal. What is left after [`RENEW_DEADLINE`] is longer than any remote call.
const LEASE: Duration = Duration::from_secs(20);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(2);
/// How long passes under way may take to end when the process is told to stop; below Kubernetes' 30 s.
const GRACE: Duration = Duration::from_secs(20);
const HUB: &str = "hub";
const CRDS: &str = "crds";

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Kubeconfig of the hub; the pod's own ServiceAccount when absent.
    pub kubeconfig: Option<PathBuf>,
    /// Namespaces of MultisigClusters and MemberClusters.
    pub namespaces: Vec<String>,
    /// Name of the Lease.
    pub lease_name: String,
    /// Namespace of the Lease.
    pub lease_namespace: String,
    /// Address of `/livez`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
    /// Name of this process in the Lease and in Events; made unique.
    pub name: String,
}

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is taken or not ours.
    #[error("can't listen on {0}: {1}; choose another --listen")]
    Listen(SocketAddr, std::io::Error),
    /// `/livez` and the rest can no longer be served.
    #[error("the HTTP server ended: {0}")]
    Http(std::io::Error),
    /// The kubeconfig of the hub. A parser's words are left out: they may quote a credential.
    #[error("{} is not a valid kubeconfig for the hub; choose another --kubeconfig", .0.display())]
    KubeconfigMalformed(PathBuf),
    /// The kubeconfig of the hub.
    #[error("the hub's kubeconfig can't be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// No kubeconfig was given, and there is no pod's ServiceAccount.
    #[error("--kubeconfig is not given, and the process does not run in a pod: {0}")]
    InCluster(#[from] InClusterError),
    /// No client can be built from it.
    #[error("can't create a client for the hub: {0}")]
    Client(Box<kube::Error>),
    /// The pod runs on while the hub's CA is replaced; clients read it once.
    #[error("the hub's CA was replaced; the process ends so that its next start believes the new one")]
    RootsReplaced,
    /// Somebody else may be leading.
    #[error("the lease was lost; the process ends so that nothing of it outlives the lease")]
    LeaseLost,
}

/// Runs until `stop`.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), RunError> {
    let (gates, metrics) = (Arc::new(Gates::default()), Arc::new(Metrics::new()));
    gates.close(HUB, "not reached yet");
    gates.close(CRDS, "not checked yet");
    let listener = health::listen(options.listen).await.map_err(|error| RunError::Listen(options.listen, error))?;
    let http = health::serve(listener, gates.clone(), metrics.clone());
    let identity = format!("{}-{:08x}", options.name, OsRng.next_u32());
    let hub = client(&options, Target::Hub, None, &metrics).await?;
    // Renewing must not wait behind a connection that hangs.
    let lease = client(&options, Target::Lease, Some(TIMEOUT), &metrics).await?;
    let election = LeaderElection::new(lease, &options.lease_namespace, &options.lease_name, &identity)
        .with_lease_duration(LEASE)
        .with_renew_deadline(RENEW_DEADLINE)
        .with_retry_period(RENEW);
    let context = Arc::new(Context::new(hub, &identity, metrics));
    let ready = CancellationToken::new();
    tokio::select! {
        result = http => Err(RunError::Http(result.err().unwrap_or_else(|| std::io::Error::other("it stopped")))),
        () = roots::replaced(options.kubeconfig.is_none()) => Err(RunError::RootsReplaced),
        never = watch_definitions(&context.hub, &gates, &ready) => match never {},
        result = lead(&options, election, context.clone(), &ready, stop) => result,
    }
}

async fn lead(
    options: &Options,
    election: LeaderElection,
    context: Arc<Context>,
    ready: &CancellationToken,
    stop: CancellationToken,
) -> Result<(), RunError> {
    tokio::select! {
        () = ready.cancelled() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let leading = AtomicBool::new(false);
    let metrics = context.metrics.clone();
    let work = async {
        leading.store(true, Ordering::Relaxed);
        metrics.lead(true);
        controllers::run(context, &options.namespaces, stop.clone()).await;
    };
    // Told to stop: at once while waiting for the lease, else when the passes under way have ended.
    let told = async {
        stop.cancelled().await;
        if leading.load(Ordering::Relaxed) {
            tokio::time::sleep(GRACE).await;
        }
    };
    let led = tokio::select! {
        led = election.with_lease(work) => led,
        () = told => Some(()),
    };
    metrics.lead(false);
    match led {
        Some(()) => {
            election.release().await;
            Ok(())
        }
        None => Err(RunError::LeaseLost),
    }
}

/// Looks for both kinds on the hub, for ever: opens and closes the gates, and says when they are there for the first
/// time.
async fn watch_definitions(hub: &Client, gates: &Gates, ready: &CancellationToken) -> Infallible {
    let group_version = format!("{}/{}", multisig_api::GROUP, multisig_api::VERSION);
    let mut looks = 0_u32;
    loop {
        match within(hub.list_api_group_resources(&group_version)).await {
            Ok(found) if missing(&found).is_empty() => {
                gates.open(HUB);
                gates.open(CRDS);
                ready.cancel();
            }
            Ok(found) => not_installed(gates, &missing(&found).join(", ")),
            // An unknown group is answered by plain text, not by a Status.
            Err(CallError::Refused(status)) if status.code == 404 => not_installed(gates, &group_version),
            Err(error) => {
                tracing::warn!(%error, "the hub does not answer");
                gates.close(HUB, error.to_string());
            }
        }
        looks = looks.saturating_add(1);
        tokio::time::sleep(backoff::delay(looks)).await;
    }
}

fn not_installed(gates: &Gates, what: &str) {
    let why = format!("{what} is not installed: install the chart multisig-operator-crds");
    tracing::warn!("{why}");
    gates.open(HUB);
    gates.close(CRDS, why);
}

fn missing(found: &APIResourceList) -> Vec<String> {
    let kinds = multisig_api::crds().into_iter().map(|crd| crd.spec.names.kind);
    kinds.filter(|kind| found.resources.iter().all(|resource| resource.kind != *kind)).collect()
}

async fn client(
    options: &Options,
    target: Target,
    read_timeout: Option<Duration>,
    metrics: &Arc<Metrics>,
) -> Result<Client, RunError> {
    let mut config = match &options.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| match error {
                KubeconfigError::Parse(_) => RunError::KubeconfigMalformed(path.clone()),
                error => RunError::Kubeconfig(error),
            })?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::incluster()?,
    };
    config.connect_timeout = Some(TIMEOUT);
    config.read_timeout = read_timeout;
    config.reset_reader_on_write = true;
    // Failed passes are tried again as a whole.
    config.default_retry = false;
    counted(config, target, metrics).map_err(|error| RunError::Client(Box::new(error)))
}
