//! The operator: reconciles MultisigCluster over a hub and its member clusters.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use multisig_operator::{
    crd,
    run::{Options, run},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Runs Keeper and Cooler in two clusters that share nothing, and connects them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator.
    Run(RunArgs),
    /// Prints the custom resource definitions.
    Crd {
        /// Writes one file per definition into this folder instead.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

#[derive(Args)]
struct RunArgs {
    /// Kubeconfig of the hub; by default the pod's own ServiceAccount.
    #[arg(long, env = "MULTISIG_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of MultisigClusters and MemberClusters; can be given more than once.
    #[arg(long = "namespace", env = "MULTISIG_NAMESPACES", value_delimiter = ',', required = true)]
    namespaces: Vec<String>,
    /// Name of the Lease that decides which of several operators leads.
    #[arg(long, env = "MULTISIG_LEASE_NAME", default_value = "multisig-operator")]
    lease_name: String,
    /// Namespace of the Lease; by default the first --namespace.
    #[arg(long, env = "MULTISIG_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "MULTISIG_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Name of this process in the Lease and in Events.
    #[arg(long, env = "POD_NAME", default_value = "multisig-operator")]
    name: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Crd { dir: Some(dir) } => crd::write(&dir).map_err(|error| error.to_string()),
        Command::Crd { dir: None } => crd::stream().map(|text| print!("{text}")).map_err(|error| error.to_string()),
        Command::Run(args) => start(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("multisig-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: RunArgs) -> Result<(), String> {
    // kube logs every failed request as an error of its own; ours say what it means.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,kube_runtime=warn,async_nats=warn"));
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already".to_owned())?;
    let RunArgs { kubeconfig, namespaces, lease_name, lease_namespace, listen, name } = args;
    let lease_namespace = lease_namespace.or_else(|| namespaces.first().cloned()).unwrap_or_default();
    let options = Options { kubeconfig, namespaces, lease_name, lease_namespace, listen, name };
    let stop = CancellationToken::new();
    let no_signals = |error| format!("can't wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let told = stop.clone();
    let wait = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping on a signal");
        told.cancel();
        std::future::pending::<()>().await
    };
    tracing::info!(namespaces = options.namespaces.join(","), "starting");
    let result = tokio::select! {
        result = run(options, stop) => result.map_err(|error| error.to_string()),
        () = wait => Ok(()),
    };
    if let Err(error) = &result {
        tracing::error!(error, "ended");
    }
    result
}
