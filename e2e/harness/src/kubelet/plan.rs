//! From a StatefulSet to a process. Pure. Whatever a pod could ask for that a process can't be given is refused.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMapProjection, Container, EnvVar, PodSpec, Volume, VolumeProjection},
};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

/// Address that a container listens on; the port that is free here takes its place.
const CONTAINER_ADDRESS: &str = "0.0.0.0:8080";
/// Lifetime of a projected token when the pod names none (as in Kubernetes).
const TOKEN_SECONDS: i64 = 3600;
const GRACE_SECONDS: i64 = 30;

/// Where things are on this host.
pub(super) struct Host<'a> {
    /// Home of the pod's own volumes.
    pub(super) volumes: &'a Path,
    /// Home of persistent volumes, by claim.
    pub(super) claims: &'a Path,
    /// Address that takes the place of the container's.
    pub(super) listen: String,
    /// The API server.
    pub(super) api: (IpAddr, u16),
}

/// What to run.
pub(super) struct Plan {
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) mounts: Mounts,
    pub(super) volumes: Vec<VolumePlan>,
    pub(super) service_account: String,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
}

/// Paths in the container and what they are on this host.
pub(super) type Mounts = Vec<(String, PathBuf)>;

/// One volume and its folder on this host.
pub(super) struct VolumePlan {
    pub(super) folder: PathBuf,
    pub(super) kind: VolumeKind,
}

/// The kinds of volumes that there are.
pub(super) enum VolumeKind {
    /// A persistent folder, which the claim of this name has to exist for.
    Claim(String),
    /// Fresh at each start.
    Empty,
    /// Files, renewed.
    Projected(Vec<Source>),
}

/// One source of a projected volume.
pub(super) enum Source {
    Token { audience: Option<String>, seconds: i64, path: String },
    ConfigMap { name: String, items: Vec<(String, String)>, optional: bool },
}

/// Name of the container whose binary the StatefulSet runs.
pub(super) fn container_name(set: &StatefulSet) -> Option<&str> {
    pod_spec(set).and_then(|pod| pod.containers.first()).map(|container| container.name.as_str())
}

/// Replicas asked for; Kubernetes' default is 1.
pub(super) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Name of the pod template's revision: changes when, and only when, the template does.
pub(super) fn revision(set: &StatefulSet) -> String {
    let template = serde_json::to_vec(&set.spec.as_ref().map(|spec| &spec.template)).unwrap_or_default();
    format!("{}-{}", set.name_any(), HEXLOWER.encode(&Sha256::digest(template)[..5]))
}

/// The path in a container, or an argument that holds one, as it is on this host.
pub(super) fn map_arg(arg: &str, mounts: &Mounts) -> String {
    let (flag, value) = match arg.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => (Some(flag), value),
        _ => (None, arg),
    };
    let inside = |mount: &str| value.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    // The longest path wins, as with nested mounts.
    let mapped = mounts
        .iter()
        .filter_map(|(mount, folder)| Some((mount.len(), format!("{}{}", folder.display(), inside(mount)?))))
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| value.to_owned(), |(_, path)| path);
    flag.map_or(mapped.clone(), |flag| format!("{flag}={mapped}"))
}

impl Plan {
    /// What this StatefulSet's only pod runs.
    pub(super) fn new(set: &StatefulSet, host: &Host<'_>) -> Result<Self> {
        let pod = pod_spec(set).context("the StatefulSet has no pod template")?;
        ensure!(replicas(set) <= 1, "{} replicas: only one is supported", replicas(set));
        ensure!(pod.init_containers.iter().flatten().count() == 0, "init containers are not supported");
        let [container] = pod.containers.as_slice() else { bail!("exactly one container is supported") };
        ensure!(
            container.command.iter().flatten().count() == 0,
            "a command is not supported: use the image's entrypoint"
        );
        ensure!(container.env_from.iter().flatten().count() == 0, "envFrom is not supported");

        let volumes: BTreeMap<&str, VolumePlan> = pod
            .volumes
            .iter()
            .flatten()
            .map(|volume| Ok((volume.name.as_str(), VolumePlan::new(volume, host)?)))
            .collect::<Result<_>>()?;
        let mounts = mounts(container, &volumes)?;
        let args = container.args.iter().flatten().map(|arg| {
            let arg = arg.replace(CONTAINER_ADDRESS, &host.listen);
            map_arg(&arg, &mounts)
        });
        let args = args.collect();
        let mut env = environment(container, set)?;
        env.insert("KUBERNETES_SERVICE_HOST".to_owned(), host.api.0.to_string());
        env.insert("KUBERNETES_SERVICE_PORT".to_owned(), host.api.1.to_string());
        let grace = pod.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS);
        Ok(Self {
            args,
            env,
            mounts,
            volumes: volumes.into_values().collect(),
            service_account: pod.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
            grace: Duration::from_secs(u64::try_from(grace).unwrap_or_default()),
        })
    }
}

impl VolumePlan {
    fn new(volume: &Volume, host: &Host<'_>) -> Result<Self> {
        let own = host.volumes.join(&volume.name);
        if let Some(claim) = &volume.persistent_volume_claim {
            let name = claim.claim_name.clone();
            Ok(Self { folder: host.claims.join(&name), kind: VolumeKind::Claim(name) })
        } else if volume.empty_dir.is_some() {
            Ok(Self { folder: own, kind: VolumeKind::Empty })
        } else if let Some(projected) = &volume.projected {
            let sources = projected.sources.iter().flatten().map(Source::new).collect::<Result<_>>();
            let sources = sources.with_context(|| format!("volume '{}'", volume.name))?;
            Ok(Self { folder: own, kind: VolumeKind::Projected(sources) })
        } else {
            bail!("volume '{}': only persistentVolumeClaim, projected and emptyDir are supported", volume.name)
        }
    }
}

impl Source {
    fn new(source: &VolumeProjection) -> Result<Self> {
        match source {
            VolumeProjection { service_account_token: Some(token), .. } => Ok(Self::Token {
                audience: token.audience.clone().filter(|audience| !audience.is_empty()),
                seconds: token.expiration_seconds.unwrap_or(TOKEN_SECONDS),
                path: relative(&token.path)?,
            }),
            VolumeProjection { config_map: Some(map), .. } => Self::config_map(map),
            _ => bail!("only serviceAccountToken and configMap can be projected"),
        }
    }

    fn config_map(map: &ConfigMapProjection) -> Result<Self> {
        let items = map.items.iter().flatten().map(|item| Ok((item.key.clone(), relative(&item.path)?)));
        let items = items.collect::<Result<_>>()?;
        Ok(Self::ConfigMap { name: map.name.clone(), items, optional: map.optional.unwrap_or(false) })
    }
}

fn pod_spec(set: &StatefulSet) -> Option<&PodSpec> {
    set.spec.as_ref()?.template.spec.as_ref()
}

fn mounts(container: &Container, volumes: &BTreeMap<&str, VolumePlan>) -> Result<Mounts> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        ensure!(mount.sub_path.is_none() && mount.sub_path_expr.is_none(), "subPath is not supported");
        let volume = volumes.get(mount.name.as_str());
        let volume = volume.with_context(|| format!("volumeMount '{}' names no volume", mount.name))?;
        Ok((mount.mount_path.trim_end_matches('/').to_owned(), volume.folder.clone()))
    });
    mounts.collect()
}

fn environment(container: &Container, set: &StatefulSet) -> Result<BTreeMap<String, String>> {
    let value = |variable: &EnvVar| {
        let field = variable.value_from.as_ref().and_then(|from| from.field_ref.as_ref());
        match (field.map(|field| field.field_path.as_str()), &variable.value_from) {
            (_, None) => Ok(variable.value.clone().unwrap_or_default()),
            (Some("metadata.name"), _) => Ok(format!("{}-0", set.name_any())),
            (Some("metadata.namespace"), _) => Ok(set.namespace().unwrap_or_default()),
            _ => bail!("env {}: only values and metadata.name and .namespace are supported", variable.name),
        }
    };
    container.env.iter().flatten().map(|variable| Ok((variable.name.clone(), value(variable)?))).collect()
}

/// A path inside a volume: the API server has checked it, but it is joined to a folder of this host.
fn relative(path: &str) -> Result<String> {
    ensure!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "'{path}' leaves its volume");
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::*;

    fn host() -> Host<'static> {
        Host {
            volumes: Path::new("/host/keeper/volumes"),
            claims: Path::new("/host/claims"),
            listen: "127.0.0.1:10001".to_owned(),
            api: (Ipv4Addr::LOCALHOST.into(), 6443),
        }
    }

    fn keeper() -> Value {
        json!({
            "metadata": {"name": "keeper", "namespace": "custody"},
            "spec": {"selector": {}, "serviceName": "keeper", "template": {"spec": {
                "serviceAccountName": "keeper",
                "containers": [{
                    "name": "keeper", "image": "x",
                    "args": ["run", "--data-dir=/data", "--token=/var/run/secrets/vault/token", "--listen=0.0.0.0:8080"],
                    "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "vault", "mountPath": "/var/run/secrets/vault"}],
                }],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "keeper-data"}},
                    {"name": "vault", "projected": {"sources": [{"serviceAccountToken": {"audience": "v", "expirationSeconds": 600, "path": "token"}}]}},
                ],
            }}},
        })
    }

    fn plan(set: Value) -> Result<Plan> {
        Plan::new(&serde_json::from_value(set).unwrap(), &host())
    }

    #[test]
    fn paths_and_the_address_in_arguments_become_the_hosts() {
        let plan = plan(keeper()).unwrap();
        let expected = [
            "run",
            "--data-dir=/host/claims/keeper-data",
            "--token=/host/keeper/volumes/vault/token",
            "--listen=127.0.0.1:10001",
        ];
        assert_eq!(plan.args, expected);
    }

    #[test]
    fn only_whole_path_elements_are_mapped_and_the_longest_mount_wins() {
        let mounts = vec![("/data".to_owned(), "/host/a".into()), ("/data/deep".to_owned(), "/host/b".into())];
        let mapped = ["/data", "/data/x", "/data/deep/x", "/database", "--f=/data/x", "data=/data"];
        let expected = ["/host/a", "/host/a/x", "/host/b/x", "/database", "--f=/host/a/x", "data=/data"];
        assert_eq!(mapped.map(|arg| map_arg(arg, &mounts)), expected);
    }

    #[test]
    fn the_environment_is_the_containers_and_where_the_api_server_is() {
        let env = plan(keeper()).unwrap().env;
        assert_eq!(env["POD"], "keeper-0");
        assert_eq!(
            (env["KUBERNETES_SERVICE_HOST"].as_str(), env["KUBERNETES_SERVICE_PORT"].as_str()),
            ("127.0.0.1", "6443")
        );
        assert_eq!(env.len(), 3);
    }

    #[test]
    fn the_revision_follows_the_template_alone() {
        let of = |set: Value| revision(&serde_json::from_value(set).unwrap());
        let (mut scaled, mut changed) = (keeper(), keeper());
        scaled["spec"]["replicas"] = json!(0);
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("y");
        assert_eq!(of(keeper()), of(scaled));
        assert_ne!(of(keeper()), of(changed));
    }

    #[test]
    fn what_a_process_cannot_be_given_is_refused() {
        let cases = [
            ("/spec/template/spec/containers/0/command", json!(["/bin/sh"]), "command"),
            ("/spec/template/spec/initContainers", json!([{"name": "i"}]), "init containers"),
            (
                "/spec/template/spec/volumes/0",
                json!({"name": "data", "hostPath": {"path": "/"}}),
                "only persistentVolumeClaim",
            ),
            ("/spec/template/spec/volumes/0/name", json!("other"), "names no volume"),
            (
                "/spec/template/spec/volumes/1/projected/sources/0",
                json!({"secret": {"name": "s"}}),
                "serviceAccountToken",
            ),
            ("/spec/replicas", json!(2), "only one"),
        ];
        for (path, value, reason) in cases {
            let mut set = keeper();
            let (parent, key) = path.rsplit_once('/').unwrap();
            match set.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
                other => other[key] = value,
            }
            let error = format!("{:#}", plan(set).err().unwrap());
            assert!(error.contains(reason), "{path}: {error}");
        }
    }
}
