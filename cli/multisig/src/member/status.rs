//! `multisig member status`: what was decided here, and what the workload says.

use std::fmt;

use anyhow::Result;
use clap::Args;
use custody::{
    Role,
    identity::fingerprint,
    report::WorkloadState,
    trust::{CustodyTrust, Profile},
};
use serde::Serialize;

use super::configmaps;
use crate::{cluster::MemberArgs, output::Output};

/// Show what is decided for this member and what its workload reports
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    role: Role,
    namespace: String,
    data_center: String,
    profile: Profile,
    #[serde(skip_serializing_if = "Option::is_none")]
    custody: Option<CustodyTrust>,
    images: Vec<String>,
    /// What still has to be decided here before the workload serves.
    missing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<Workload>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Workload {
    state: WorkloadState,
    message: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_key_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewrap_left: Option<u64>,
}

impl Status {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let cluster = self.member.connect().await?;
        let trust = configmaps::read_trust(&cluster).await?.trust;
        let report = configmaps::find_report(&cluster, trust.role).await?;
        let workload = report.map(|report| Workload {
            state: report.state,
            message: report.message,
            version: report.version,
            fingerprint: report.identity.map(|identity| fingerprint(trust.role, &identity.keys)),
            vault_key_version: report.vault_key_version,
            rewrap_left: report.rewrap_left,
        });
        output.print(&Shown {
            role: trust.role,
            namespace: cluster.namespace,
            missing: trust.missing(),
            data_center: trust.data_center,
            profile: trust.profile,
            custody: trust.custody,
            images: trust.images,
            workload,
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "member      {} in namespace {}", self.role, self.namespace)?;
        writeln!(f, "data centre {} ({:?})", self.data_center, self.profile)?;
        match &self.custody {
            Some(custody) => writeln!(f, "custody     {} (manifest {})", custody.id, custody.manifest_digest)?,
            None => writeln!(f, "custody     none pinned")?,
        }
        writeln!(f, "images      {} allowed", self.images.len())?;
        match &self.workload {
            Some(workload) => {
                writeln!(f, "workload    {:?}, version {}: {}", workload.state, workload.version, workload.message)?;
                writeln!(f, "fingerprint {}", workload.fingerprint.as_deref().unwrap_or("no keys yet"))?;
                if let Some(version) = workload.vault_key_version {
                    writeln!(f, "vault key   version {version}{}", older(workload.rewrap_left))?;
                }
            }
            None => writeln!(f, "workload    has not reported yet")?,
        }
        self.missing.iter().try_for_each(|missing| writeln!(f, "missing     {missing}"))
    }
}

/// What a rotation of the Vault key has not reached yet.
fn older(left: Option<u64>) -> String {
    left.map(|left| format!(", {left} secrets still sealed with an older version")).unwrap_or_default()
}
