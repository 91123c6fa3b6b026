//! A data centre admin at work: prepares the member, compares fingerprints out of band, approves peers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use custody::{Role, identity::Identity, trust::KeyProtection};
use serde_json::{Value, json};

use crate::{Commands, Output, command::Run};

/// A data centre as its own admin sees it.
#[derive(Debug, Clone)]
pub struct Member {
    /// keeper or cooler.
    pub role: Role,
    /// Its name, for example `fra-1`.
    pub data_center: String,
    /// The workload's namespace.
    pub namespace: String,
    /// The admin's kubeconfig.
    pub kubeconfig: PathBuf,
    /// API server as other clusters reach it, `https://IP:PORT`.
    pub server: String,
    /// The data centre's own Vault.
    pub vault: VaultAccess,
    /// The admin's folder: plan, CA and whatever the CLI writes.
    pub folder: PathBuf,
}

/// A Vault as its admin reaches it.
#[derive(Debug, Clone)]
pub struct VaultAccess {
    /// `https://IP:PORT`.
    pub address: String,
    /// PEM of its roots.
    pub ca: String,
    /// The admin's token.
    pub token: String,
}

/// What `member prepare` hands to the hub.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The hub's restricted kubeconfig, as text.
    pub kubeconfig: String,
    /// The pin.
    pub cluster_uid: String,
}

/// What the admin decides, apart from where things are.
#[derive(Debug, Clone)]
pub struct Decisions {
    /// The signed manifest.
    pub manifest: PathBuf,
    /// `local_policy.assets` of the plan.
    pub assets: Value,
    /// What seals users' keys.
    pub keys: KeyProtection,
    /// Image digests that may run.
    pub images: Vec<String>,
    /// Storage class of the volume; empty for none.
    pub storage_class: String,
}

impl Member {
    /// `multisig` with this admin's kubeconfig and namespace.
    pub fn multisig(&self, commands: &Commands, words: &str) -> Run {
        commands
            .multisig()
            .words(words)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("VAULT_TOKEN", &self.vault.token)
            .arg("--namespace")
            .arg(&self.namespace)
    }

    /// Writes the plan file that `prepare` reads; returns its path.
    pub fn write_plan(&self, decisions: &Decisions) -> Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join("vault-ca.pem"), &self.vault.ca)?;
        let plan = json!({
            "role": self.role,
            "namespace": self.namespace,
            "dataCenter": self.data_center,
            "profile": "Development",
            "vault": {
                "address": self.vault.address,
                "caFile": "vault-ca.pem",
                "transitMount": "transit-ms",
                "authMount": format!("jwt-{}", self.data_center),
                "audience": format!("vault-{}", self.data_center),
            },
            "manifestFile": decisions.manifest,
            "localPolicy": {"assets": decisions.assets},
            "keys": decisions.keys,
            "images": decisions.images,
            "storage": {"size": "1Gi", "storageClassName": decisions.storage_class},
        });
        let path = self.folder.join("plan.yaml");
        // JSON is YAML.
        fs::write(&path, serde_json::to_vec_pretty(&plan)?)?;
        Ok(path)
    }

    /// `member prepare` without judging its outcome.
    pub async fn try_prepare(&self, commands: &Commands, plan: &Path) -> Result<Output> {
        commands
            .multisig()
            .words("member prepare -o json --helm")
            .arg(&commands.helm)
            .arg("--out")
            .arg(self.folder.join("hub.kubeconfig"))
            .arg("--server")
            .arg(&self.server)
            .arg(plan)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("VAULT_TOKEN", &self.vault.token)
            .output()
            .await
    }

    /// `member prepare`: chart, Vault, trust; repeatable.
    pub async fn prepare(&self, commands: &Commands, decisions: &Decisions) -> Result<Prepared> {
        let plan = self.write_plan(decisions)?;
        let output = self.try_prepare(commands, &plan).await?;
        anyhow::ensure!(output.ok, "member prepare failed: {}{}", output.stdout, output.stderr);
        let said = output.json()?;
        Ok(Prepared {
            kubeconfig: fs::read_to_string(self.folder.join("hub.kubeconfig"))?,
            cluster_uid: said["clusterUID"].as_str().context("prepare prints the cluster UID")?.to_owned(),
        })
    }

    /// `member fingerprint`: what this admin reads out to the others, with the public identity.
    pub async fn fingerprint(&self, commands: &Commands) -> Result<(String, Identity)> {
        let said =
            self.multisig(commands, "member fingerprint -o json").arg(self.role.as_str()).succeed().await?.json()?;
        let fingerprint = said["fingerprint"].as_str().context("fingerprint prints one")?.to_owned();
        Ok((fingerprint, serde_json::from_value(said["identity"].clone())?))
    }

    /// `member approve` of a peer that the hub proposed.
    pub async fn approve(&self, commands: &Commands, peer: Role, fingerprint: &str) -> Result<()> {
        self.multisig(commands, "member approve")
            .arg(peer.as_str())
            .arg("--fingerprint")
            .arg(fingerprint)
            .succeed()
            .await?;
        Ok(())
    }

    /// `member approve app` from the identity file that App's owner sent.
    pub async fn approve_app(&self, commands: &Commands, identity: &Path, fingerprint: &str) -> Result<()> {
        self.multisig(commands, "member approve app")
            .arg("--identity")
            .arg(identity)
            .arg("--fingerprint")
            .arg(fingerprint)
            .succeed()
            .await?;
        Ok(())
    }
}
