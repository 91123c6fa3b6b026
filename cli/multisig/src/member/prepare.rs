//! `multisig member prepare FILE`: a data centre's side of a signer, in five steps that can be repeated.

use std::{fmt, path::PathBuf};

use anyhow::Result;
use clap::Args;
use custody::{Role, trust};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde::Serialize;
use serde_json::json;

use super::{
    chart::Helm,
    configmaps,
    hub_token::{self, OutFile},
    plan::Plan,
    preflight::{self, Ready},
    trust::differences,
    volume::{self, VolumePlan},
};
use crate::{
    cluster::{Cluster, ClusterArgs},
    failure::bad_input,
    objects,
    output::{Change, Output, Steps},
};

const AFTER_HELP: &str = "\
FILE (YAML; paths in it are relative to it):
  role: keeper                      # required; or cooler
  namespace: custody-keeper         # required
  dataCenter: fra-1                 # required; as in MemberCluster.spec.dataCenter
  profile: Development              # required; or Production
  vault:                            # this data centre's own Vault
    address: https://vault.fra-1.example:8200   # required
    caFile: vault-ca.pem            # required; the only root certificates accepted
    transitMount: multisig-transit  # this and the next two: the defaults
    authMount: multisig-fra-1       # named after the data centre: one for each cluster
    audience: multisig-vault-fra-1
  storage: {size: 1Gi, storageClassName: '', accessMode: ReadWriteOnce}   # ReadWriteOncePod where the CSI driver can
  wallets: 20000                    # how many the volume must be large enough for; left out: any
  hubToken: {ttl: 720h}
  egress: [{ports: [443, 6443, 8200, 4222]}]    # TCP besides DNS; must include the Vault's port; `cidr` narrows it
  # No defaults: what the file leaves out of these stays as it is in multisig-trust. Approved peers always stay.
  manifestFile: manifest.json       # signed at both stations
  localPolicy:                      # what neither hub nor App can exceed; try it with `multisig policy test`
    assets: [{chain: 'eip155:1', symbol: ETH, asset: native, decimals: 18, perTransaction: '1000000000000000000'}]
      # an asset may also have perWallet and total, {amount: '1', windowSeconds: 86400}, both required in Production;
      # timeLock: {above: '1', delaySeconds: 3600, lapsesAfterSeconds: 604800}; intentAbove: '1'
    looseningDelaySeconds: 86400    # how long a looser local policy waits; required in Production
    destinations: {allow: [{chain: 'eip155:1', address: '0x...'}], coolingSeconds: 3600}   # left out: anywhere
    kinds: [Transfer, Cancel]       # left out: both
    fees: [{chain: 'eip155:1', ceiling: '1'}]   # left out: no fee
    intentSigners: ['64 hex digits']   # ed25519 keys that App does not hold; required with intentAbove
    evacuation: {withoutPaper: true}   # hot and cool may evacuate if the paper is lost; left out: they may not
  keys: Vault                       # what seals users' keys; keeper only: ClientKey (App sends a key with each request)
  images: ['sha256:...']            # digests that may run here

The Vault admin's token is read from the environment variable VAULT_TOKEN.";

/// Set up this data centre's side of a signer; repeat it whenever the plan or the cluster's token keys change
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Prepare {
    /// The plan (YAML)
    file: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Where to write the hub's kubeconfig; it holds a token and is readable by its owner only
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    out: Option<PathBuf>,
    /// The API server's address for other clusters [default: the kubeconfig's]
    #[arg(long, value_name = "https://HOST:PORT", value_parser = hub_token::parse_server)]
    server: Option<String>,
    /// The helm program
    #[arg(long, value_name = "FILE", default_value = "helm")]
    helm: PathBuf,
    /// Check file, cluster, rights, helm and Vault, and write nothing
    #[arg(long)]
    check: bool,
}

/// What the hub admin needs to know, and what was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Prepared {
    role: Role,
    namespace: String,
    data_center: String,
    #[serde(rename = "clusterUID")]
    cluster_uid: String,
    service_account_issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_digest: Option<String>,
    volume: VolumePlan,
    /// What still has to be decided before the workload serves.
    missing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<Hub>,
    changes: Vec<Step>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hub {
    kubeconfig: PathBuf,
    expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Step {
    step: String,
    change: String,
}

impl Prepare {
    /// Checks everything, then does the steps; each says what it changed.
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let plan = Plan::load(&self.file)?;
        let out = self.out.as_deref().filter(|_| !self.check).map(OutFile::create).transpose()?;
        let ready = preflight::check(&plan, &self.cluster, self.helm.clone()).await?;
        let volume = volume::judge(&plan, ready.trust.local_policy.as_ref()).map_err(bad_input)?;
        let mut prepared = Prepared {
            role: plan.role,
            namespace: plan.namespace.clone(),
            data_center: plan.data_center.clone(),
            cluster_uid: ready.cluster_uid.clone(),
            service_account_issuer: ready.vault_setup.issuer.clone(),
            manifest_digest: ready.trust.custody.as_ref().map(|custody| custody.manifest_digest.clone()),
            volume,
            missing: ready.trust.missing(),
            hub: None,
            changes: Vec::new(),
        };
        if let (Some(out), Some(path)) = (out, self.out) {
            prepared.changes = write(&ready).await?;
            let token = hub_token::issue(&ready.cluster, plan.hub_token_ttl).await?;
            out.publish(&hub_token::kubeconfig(&ready.cluster, self.server.as_deref(), &token)?)?;
            eprintln!("[5/5] hub token: issued");
            prepared.hub = Some(Hub { kubeconfig: path, expires_at: token.expires_at });
        }
        output.print(&prepared)
    }
}

/// The four steps that leave objects behind.
async fn write(ready: &Ready) -> Result<Vec<Step>> {
    let mut steps = Recorder { shown: Steps::new(5), steps: Vec::new() };
    let cluster = &ready.cluster;
    steps.done(&format!("namespace {}", cluster.namespace), ensure_namespace(cluster).await?);
    steps.done("chart member", ensure_chart(&ready.helm, ready).await?);

    let report = vault::setup(&ready.vault, &ready.vault_setup).await?;
    for (part, outcome) in &report.steps {
        steps.shown.part(part, outcome);
    }
    steps.done("vault", if report.changed() { Change::Updated } else { Change::Unchanged });

    let differences = ready.before.as_ref().map(|stored| differences(&stored.trust, &ready.trust)).unwrap_or_default();
    for part in differences {
        steps.shown.part(part, Change::Updated);
    }
    let change = configmaps::write_trust(cluster, ready.before.as_ref(), &ready.trust).await?;
    steps.done(&format!("ConfigMap {}", trust::CONFIG_MAP), change);
    Ok(steps.steps)
}

/// Shows a step and keeps it for the result.
struct Recorder {
    shown: Steps,
    steps: Vec<Step>,
}

impl Recorder {
    fn done(&mut self, step: &str, change: Change) {
        self.shown.done(step, change);
        self.steps.push(Step { step: step.to_owned(), change: change.to_string() });
    }
}

async fn ensure_chart(helm: &Helm, ready: &Ready) -> Result<Change> {
    helm.ensure(&ready.cluster, &ready.chart).await
}

/// Made before the chart, which goes into it. Pods that ask for more than `restricted` allows are refused here.
async fn ensure_namespace(cluster: &Cluster) -> Result<Change> {
    let name = &cluster.namespace;
    let wanted = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/part-of": "multisig",
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    });
    objects::ensure(cluster, &Api::<Namespace>::all(cluster.client.clone()), name, &wanted).await
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "member                 {} in namespace {}", self.role, self.namespace)?;
        writeln!(f, "cluster UID            {}", self.cluster_uid)?;
        writeln!(f, "data centre            {}", self.data_center)?;
        writeln!(f, "service account issuer {}", self.service_account_issuer)?;
        writeln!(f, "manifest digest        {}", self.manifest_digest.as_deref().unwrap_or("none pinned"))?;
        writeln!(f, "volume                 {}", self.volume)?;
        match &self.hub {
            Some(hub) => {
                writeln!(f, "hub's kubeconfig       {} (until {})", hub.kubeconfig.display(), hub.expires_at)?;
                writeln!(f, "\nGive the kubeconfig (secret), the cluster UID and the data centre to the hub admin.")?;
            }
            None => writeln!(f, "\nNothing was written. Run it without --check to carry out this plan.")?,
        }
        for missing in &self.missing {
            writeln!(f, "Before {} serves: {missing}", self.role)?;
        }
        Ok(())
    }
}
