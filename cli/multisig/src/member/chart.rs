//! The member chart, embedded in this program and installed by helm. helm runs only when something differs, so that
//! a second run leaves no new revision.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use include_dir::{Dir, include_dir};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::plan::Plan;
use crate::{
    cluster::{Cluster, ClusterArgs},
    failure::one_line,
    objects::covers,
    output::Change,
};

static CHART: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../charts/member");
/// Name of the helm release in the member's namespace.
const RELEASE: &str = "multisig-member";
/// The chart has no pods and no hooks: only the API server can be slow.
const DEADLINE: Duration = Duration::from_secs(180);

/// helm with the chart in a temporary folder.
pub(crate) struct Helm {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    namespace: String,
    folder: TempDir,
    major: u32,
}

/// What the release should be: helm's own rendering.
pub(crate) struct Rendered {
    objects: Vec<Value>,
}

/// The release as helm keeps it.
#[derive(Deserialize)]
struct Release {
    info: ReleaseInfo,
    manifest: String,
}

#[derive(Deserialize)]
struct ReleaseInfo {
    status: String,
}

/// Values for the chart.
pub(crate) fn values(plan: &Plan) -> Value {
    json!({"role": plan.role, "storage": plan.storage, "networkPolicy": {"egress": plan.egress}})
}

impl Helm {
    /// Finds helm and unpacks the chart; touches no cluster.
    pub(crate) async fn new(program: PathBuf, args: &ClusterArgs, plan: &Plan) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder for the chart")?;
        let chart = folder.path().join("member");
        std::fs::create_dir(&chart).and_then(|()| CHART.extract(&chart)).context("the chart can't be unpacked")?;
        std::fs::write(folder.path().join("values.json"), serde_json::to_vec(&values(plan))?)?;
        let mut helm = Self {
            program,
            kubeconfig: args.kubeconfig.clone(),
            context: args.context.clone(),
            namespace: plan.namespace.clone(),
            folder,
            major: 0,
        };
        let version = helm.run(["version".into(), "--template={{.Version}}".into()]).await?;
        helm.major = major_of(&stdout(&version)?)?;
        Ok(helm)
    }

    /// Renders the chart, which also checks the values; touches no cluster.
    pub(crate) async fn render(&self) -> Result<Rendered> {
        let output = self.run(self.with_chart(&["template"])).await?;
        Ok(Rendered { objects: documents(&stdout(&output)?)? })
    }

    /// Installs or upgrades, unless release and live objects are what was rendered.
    pub(crate) async fn ensure(&self, cluster: &Cluster, rendered: &Rendered) -> Result<Change> {
        let release = self.release().await?;
        if let Some(Release { info, manifest }) = &release {
            if info.status.starts_with("pending-") {
                bail!(
                    "helm release {RELEASE} in {} is {}: an earlier run was killed; run `helm -n {0} {} {RELEASE}`, then \
                     this again",
                    self.namespace,
                    info.status,
                    if info.status == "pending-install" { "uninstall" } else { "rollback" },
                );
            }
            let same = info.status == "deployed" && documents(manifest)? == rendered.objects;
            if same && all_live(cluster, &rendered.objects).await? {
                return Ok(Change::Unchanged);
            }
        }
        let mut args = self.with_chart(&["upgrade", "--install", "--history-max=5"]);
        if self.major >= 4 {
            // Only objects that carry this release's annotations are touched; there, the chart decides.
            args.extend(["--server-side=true".into(), "--force-conflicts".into()]);
        }
        self.run(args).await?;
        Ok(if release.is_some() { Change::Updated } else { Change::Created })
    }

    async fn release(&self) -> Result<Option<Release>> {
        let output = self.output(["status".into(), RELEASE.into(), "--output=json".into()]).await?;
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).map(Some).context("helm status printed no JSON");
        }
        match stderr(&output) {
            message if message.contains("not found") => Ok(None),
            message => Err(anyhow!("helm status: {message}")),
        }
    }

    fn with_chart(&self, words: &[&str]) -> Vec<OsString> {
        let mut args: Vec<OsString> = words.iter().map(OsString::from).collect();
        args.push(RELEASE.into());
        args.push(self.folder.path().join("member").into());
        args.push("--values".into());
        args.push(self.folder.path().join("values.json").into());
        args
    }

    async fn run(&self, args: impl IntoIterator<Item = OsString>) -> Result<Output> {
        let args: Vec<OsString> = args.into_iter().collect();
        let word = args.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let output = self.output(args).await?;
        if !output.status.success() {
            bail!("helm {word}: {}", stderr(&output));
        }
        Ok(output)
    }

    async fn output(&self, args: impl IntoIterator<Item = OsString>) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(args).arg("--namespace").arg(&self.namespace).stdin(Stdio::null()).kill_on_drop(true);
        // helm has no use for it, and children inherit what they are not refused.
        command.env_remove("VAULT_TOKEN");
        if let Some(file) = &self.kubeconfig {
            command.env("KUBECONFIG", file);
        }
        if let Some(context) = &self.context {
            command.arg("--kube-context").arg(context);
        }
        let program = self.program.display();
        match tokio::time::timeout(DEADLINE, command.output()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => {
                bail!("{program} can't be run ({error}); install helm 3.14 or newer, or name it with --helm")
            }
            Err(_) => bail!("{program} did not end within {} s; is the API server reachable?", DEADLINE.as_secs()),
        }
    }
}

async fn all_live(cluster: &Cluster, objects: &[Value]) -> Result<bool> {
    for wanted in objects {
        let types: TypeMeta = serde_json::from_value(json!({
            "apiVersion": wanted["apiVersion"],
            "kind": wanted["kind"],
        }))?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let name = wanted["metadata"]["name"].as_str().context("a rendered object has no name")?;
        let api: Api<DynamicObject> = match wanted["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
            None => Api::all_with(cluster.client.clone(), &resource),
        };
        let live = api.get_opt(name).await.map_err(|e| cluster.explain(&format!("{} {name}", resource.kind), e))?;
        match live {
            Some(live) if covers(&serde_json::to_value(&live)?, wanted) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The objects of a manifest; comments and empty documents do not count.
fn documents(manifest: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).context("helm rendered no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn major_of(version: &str) -> Result<u32> {
    let major = version.trim().strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
    major
        .filter(|major| *major >= 3)
        .with_context(|| format!("helm {} is not supported; use 3.14 or newer", version.trim()))
}

fn stdout(output: &Output) -> Result<String> {
    String::from_utf8(output.stdout.clone()).context("helm printed no UTF-8")
}

fn stderr(output: &Output) -> String {
    one_line(&String::from_utf8_lossy(&output.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_is_told_by_its_version() {
        assert_eq!(major_of("v3.18.4\n").unwrap(), 3);
        assert_eq!(major_of("v4.3").unwrap(), 4);
        assert!(major_of("v2.17.0").is_err() && major_of("").is_err());
    }

    #[test]
    fn comments_are_no_objects() {
        assert_eq!(documents("---\n# Source: a\na: 1\n---\n# nothing\n---\nb: 2\n").unwrap().len(), 2);
    }
}
