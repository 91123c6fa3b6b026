//! The ConfigMaps of a data centre's workload: it may get four of them by name and patch its report, nothing else.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use custody::{
    Role,
    config::{CONFIG_KEY, CREDENTIALS_KEY, MANIFEST_KEY, config_map, credentials_map},
    report::{REPORT_KEY, WorkloadState, report_map},
    trust,
};
use futures::try_join;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::documents::{Documents, Unready};

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigMapError {
    /// Not run in a pod, or the volume is not mounted.
    #[error("no Kubernetes API server is known: {0}; run this in the pod that the hub makes")]
    Settings(String),
    /// No answer.
    #[error("the Kubernetes API server does not answer: {0}")]
    Away(String),
    /// It answers that this workload may not.
    #[error(
        "the Kubernetes API server refuses {map}: {cause}; run `multisig member prepare` again to restore the rights"
    )]
    Denied {
        /// ConfigMap.
        map: String,
        /// Its words.
        cause: String,
    },
}

impl From<ConfigMapError> for Unready {
    fn from(error: ConfigMapError) -> Self {
        let state = match &error {
            ConfigMapError::Denied { .. } => WorkloadState::AwaitingTrust,
            _ => WorkloadState::Starting,
        };
        Unready::new(state, error.to_string())
    }
}

/// A client for one workload's ConfigMaps.
pub struct ConfigMaps {
    server: Server,
    trusting: Mutex<Trusting>,
    role: Role,
}

/// Where the API server is, and what is believed of it.
struct Server {
    /// `https://host:port`.
    address: String,
    /// With `ca.crt` and `token`, which the kubelet replaces.
    kube_dir: PathBuf,
    namespace: String,
}

/// A client, and the roots that it was made of: it reads them once.
struct Trusting {
    roots: Vec<u8>,
    maps: Api<ConfigMap>,
}

impl ConfigMaps {
    /// The address as the kubelet sets it; token and CA from `kube_dir`, both read again when they are replaced.
    pub fn new(kube_dir: &Path, namespace: &str, role: Role) -> Result<Self, ConfigMapError> {
        let variable =
            |name: &str| env::var(name).map_err(|error| ConfigMapError::Settings(format!("{name}: {error}")));
        let address = address(&variable("KUBERNETES_SERVICE_HOST")?, &variable("KUBERNETES_SERVICE_PORT")?);
        Self::at(Server { address, kube_dir: kube_dir.to_owned(), namespace: namespace.to_owned() }, role)
    }

    fn at(server: Server, role: Role) -> Result<Self, ConfigMapError> {
        let trusting = Mutex::new(server.trusting(server.roots()?)?);
        Ok(Self { server, trusting, role })
    }

    /// All documents as they are now.
    pub async fn documents(&self) -> Result<Documents, ConfigMapError> {
        let (config_map, credentials_map) = (config_map(self.role), credentials_map(self.role));
        let (mut trust, mut config, mut credentials) =
            try_join!(self.data(trust::CONFIG_MAP), self.data(&config_map), self.data(&credentials_map))?;
        Ok(Documents {
            trust: trust.remove(trust::KEY),
            config: config.remove(CONFIG_KEY),
            manifest: config.remove(MANIFEST_KEY),
            credentials: credentials.remove(CREDENTIALS_KEY),
        })
    }

    /// The report as it stands.
    pub async fn report(&self) -> Result<Option<String>, ConfigMapError> {
        Ok(self.data(&report_map(self.role)).await?.remove(REPORT_KEY))
    }

    /// Replaces the report.
    pub async fn write_report(&self, report: &str) -> Result<(), ConfigMapError> {
        let map = report_map(self.role);
        let params = PatchParams { field_manager: Some(self.role.to_string()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "data": { REPORT_KEY: report } }));
        timed(&map, self.maps().patch(&map, &params, &patch)).await.map(drop)
    }

    async fn data(&self, map: &str) -> Result<std::collections::BTreeMap<String, String>, ConfigMapError> {
        let found = timed(map, self.maps().get_opt(map)).await?;
        Ok(found.and_then(|map| map.data).unwrap_or_default())
    }

    /// The client, made anew when the cluster's CA was rotated: the pod runs on while its roots are replaced. Roots
    /// that can't be used change nothing; whoever calls is told by the API server's certificate.
    fn maps(&self) -> Api<ConfigMap> {
        let mut trusting = self.trusting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(roots) = self.server.roots()
            && roots != trusting.roots
        {
            match self.server.trusting(roots) {
                Ok(renewed) => {
                    tracing::info!("the cluster's CA was replaced; its API server is now believed by the new one");
                    *trusting = renewed;
                }
                Err(error) => tracing::warn!(%error, "the cluster's new CA can't be used"),
            }
        }
        trusting.maps.clone()
    }
}

impl Server {
    /// PEM, as it is now.
    fn roots(&self) -> Result<Vec<u8>, ConfigMapError> {
        let path = self.kube_dir.join("ca.crt");
        fs::read(&path).map_err(|error| ConfigMapError::Settings(format!("{}: {error}", path.display())))
    }

    /// A client that believes the roots in the file. They were read before: if the file is replaced meanwhile, the next
    /// call finds them different and makes another.
    fn trusting(&self, roots: Vec<u8>) -> Result<Trusting, ConfigMapError> {
        let settings = |error: &dyn std::fmt::Display| ConfigMapError::Settings(error.to_string());
        let mut config = Config::new(self.address.parse().map_err(|error| settings(&error))?);
        config.default_namespace = self.namespace.clone();
        config.root_cert_file = Some(self.kube_dir.join("ca.crt"));
        config.auth_info.token_file = Some(readable(self.kube_dir.join("token"))?.display().to_string());
        config.connect_timeout = Some(CALL_TIMEOUT);
        config.read_timeout = Some(CALL_TIMEOUT);
        config.write_timeout = Some(CALL_TIMEOUT);
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| settings(&error))?;
        Ok(Trusting { roots, maps: Api::namespaced(client, &self.namespace) })
    }
}

/// `https://host:port`; an IPv6 address needs its brackets.
fn address(host: &str, port: &str) -> String {
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

fn readable(path: PathBuf) -> Result<PathBuf, ConfigMapError> {
    match fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(ConfigMapError::Settings(format!("{}: {error}", path.display()))),
    }
}

async fn timed<T>(map: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, ConfigMapError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403 | 404) => {
            Err(ConfigMapError::Denied { map: map.to_owned(), cause: status.message.clone() })
        }
        Ok(Err(error)) => Err(ConfigMapError::Away(innermost(&error))),
        Err(_) => Err(ConfigMapError::Away(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

/// The last cause of a chain says what happened; the outer ones only where.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_gets_its_brackets() {
        assert_eq!(address("10.0.0.1", "443"), "https://10.0.0.1:443");
        assert_eq!(address("fd00::1", "6443"), "https://[fd00::1]:6443");
    }

    #[tokio::test]
    async fn a_rotated_ca_is_believed_as_soon_as_the_kubelet_has_delivered_it() {
        let mut cluster = harness::cluster::Cluster::start("rotated").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let deliver = |cluster: &harness::cluster::Cluster| fs::write(folder.path().join("ca.crt"), cluster.ca_pem());
        deliver(&cluster).unwrap();
        fs::write(folder.path().join("token"), cluster.admin_token()).unwrap();
        let server =
            Server { address: cluster.url(), kube_dir: folder.path().to_owned(), namespace: "default".to_owned() };
        let maps = ConfigMaps::at(server, Role::Keeper).unwrap();
        assert_eq!(maps.documents().await.unwrap(), Documents::default());

        cluster.rotate_ca().await.unwrap();
        let before = maps.documents().await.unwrap_err();
        assert!(matches!(&before, ConfigMapError::Away(cause) if cause.contains("certificate")), "{before}");
        // Half a file is not believed, and the client outlives it.
        fs::write(folder.path().join("ca.crt"), "-----BEGIN CERT").unwrap();
        assert!(matches!(maps.documents().await, Err(ConfigMapError::Away(_))));
        deliver(&cluster).unwrap();
        assert_eq!(maps.documents().await.unwrap(), Documents::default());
    }
}
