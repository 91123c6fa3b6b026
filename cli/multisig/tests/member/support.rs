//! A data centre on loopback: a real API server and a real Vault, and this program run as its admin would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use chain::KeyRole;
use custodies::Ceremony;
use custody::manifest::SignedManifest;
use harness::{Options, cluster::Cluster, vault::Vault};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const NAMESPACE: &str = "custody-keeper";

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The result, of a run that has to have succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The one line of a run that has to have failed with this code.
    pub(crate) fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stderr.trim().lines().count(), 1, "{self:?}");
        self.stderr.trim()
    }
}

/// A data centre with its admin's room.
pub(crate) struct DataCentre {
    pub(crate) cluster: Cluster,
    pub(crate) vault: Vault,
    pub(crate) helm: PathBuf,
    room: TempDir,
}

impl DataCentre {
    pub(crate) async fn start() -> Self {
        let (cluster, vault) = tokio::join!(Cluster::start("fra-1"), Vault::start(Options::default()));
        let (cluster, vault) = (cluster.unwrap(), vault.unwrap());
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("vault-ca.pem"), vault.ca_pem()).unwrap();
        fs::write(room.path().join("admin.kubeconfig"), cluster.kubeconfig()).unwrap();
        let this = Self { cluster, vault, helm: helm(), room };
        this.write_manifest("half-signed.json", &ceremony().signed_by(&[KeyRole::Cool]));
        this.write_manifest("manifest.json", &ceremony().held().signed);
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn write_manifest(&self, name: &str, manifest: &SignedManifest) {
        fs::write(self.path(name), manifest.to_json()).unwrap();
    }

    /// A plan with everything in it.
    pub(crate) fn plan(&self) -> Value {
        json!({
            "role": "keeper",
            "namespace": NAMESPACE,
            "dataCenter": "fra-1",
            "profile": "Development",
            "vault": {"address": self.vault.address(), "caFile": "vault-ca.pem"},
            "manifestFile": "manifest.json",
            "localPolicy": {"assets": [{
                "chain": "eip155:1", "symbol": "ETH", "asset": "native", "decimals": 18, "perTransaction": "5",
            }]},
            "images": [format!("sha256:{}", "a".repeat(64))],
        })
    }

    /// `member prepare` of this plan with arguments besides.
    pub(crate) async fn prepare(&self, plan: &Value, more: &[&str]) -> Ended {
        fs::write(self.path("plan.yaml"), plan.to_string()).unwrap();
        let (plan, out) = (self.path("plan.yaml"), self.path("hub.kubeconfig"));
        let mut args = vec!["member", "prepare", "-o", "json", path(&plan), "--out", path(&out)];
        args.extend(["--helm", path(&self.helm)]);
        args.extend(more);
        self.run(&args, &[]).await
    }

    /// A command on the member's namespace.
    pub(crate) async fn member(&self, words: &[&str]) -> Ended {
        let args: Vec<&str> = ["member"].iter().chain(words).chain(&["-o", "json", "-n", NAMESPACE]).copied().collect();
        self.run(&args, &[]).await
    }

    /// The program with the admin's environment, changed by `changes` (empty: unset).
    pub(crate) async fn run(&self, args: &[&str], changes: &[(&str, &str)]) -> Ended {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_multisig"));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command.env("KUBECONFIG", self.path("admin.kubeconfig")).env("VAULT_TOKEN", self.vault.root_token());
        // helm keeps caches; those of the person who runs the tests are none of its business.
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.path("helm"));
        }
        for (name, value) in changes {
            match value {
                &"" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        let output = command.output().await.unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A client with what is in the hub's kubeconfig, and nothing else.
    pub(crate) async fn hub(&self) -> kube::Client {
        let kubeconfig = fs::read_to_string(self.path("hub.kubeconfig")).unwrap();
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        config.try_into().unwrap()
    }
}

/// For the one chain of the plan.
fn ceremony() -> Ceremony {
    Ceremony::fixed().destinations("eip155:1", &[custodies::SAFE])
}

/// helm as the project builds it.
pub(crate) fn helm() -> PathBuf {
    harness::servers::path("helm").unwrap().join("helm")
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
