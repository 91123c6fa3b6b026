//! The hub's way in: a token of its restricted ServiceAccount, bound to an object that the admin can delete, in a
//! kubeconfig without anything that would run or read a file at the hub.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use data_encoding::BASE64;
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Secret, ServiceAccount},
};
use kube::{Api, api::PostParams};
use serde_json::json;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{cluster::Cluster, failure::bad_input};

/// The hub's ServiceAccount in a member.
pub(crate) const HUB: &str = "multisig-hub";
/// Every token of the hub is bound to this Secret.
const BINDING: &str = "multisig-hub-binding";

/// A token with the life that the server gave it.
pub(crate) struct HubToken {
    token: Zeroizing<String>,
    pub(crate) expires_at: Timestamp,
}

/// Asks for a token with this life; the server may shorten it.
pub(crate) async fn issue(cluster: &Cluster, ttl: Duration) -> Result<HubToken> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let binding = secrets.get_metadata(BINDING).await.map_err(|e| cluster.explain(&format!("Secret {BINDING}"), e))?;
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(BINDING.to_owned()),
                uid: binding.metadata.uid,
            }),
            expiration_seconds: Some(i64::try_from(ttl.as_secs()).context("the token's lifetime is too long")?),
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let issued = accounts
        .create_token_request(HUB, &PostParams::default(), &request)
        .await
        .map_err(|e| cluster.explain(&format!("token of ServiceAccount {HUB}"), e))?;
    let status = issued.status.context("the API server issued no token")?;
    Ok(HubToken { token: Zeroizing::new(status.token), expires_at: status.expiration_timestamp.0 })
}

/// Kubeconfig (YAML) for the hub. `server` is the address that other clusters use; `None`: the admin's own.
pub(crate) fn kubeconfig(cluster: &Cluster, server: Option<&str>, token: &HubToken) -> Result<Zeroizing<String>> {
    let mut target = json!({"server": server.map_or_else(|| own_server(cluster), str::to_owned)});
    if let Some(roots) = &cluster.config.root_cert {
        target["certificate-authority-data"] = BASE64.encode(pem(roots).as_bytes()).into();
    }
    if let (None, Some(name)) = (server, &cluster.config.tls_server_name) {
        target["tls-server-name"] = name.as_str().into();
    }
    let name = &cluster.namespace;
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": target}],
        "users": [{"name": HUB, "user": {"token": token.token.as_str()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": HUB, "namespace": name}}],
        "current-context": name,
    });
    Ok(Zeroizing::new(serde_saphyr::to_string(&document)?))
}

fn own_server(cluster: &Cluster) -> String {
    cluster.config.cluster_url.to_string().trim_end_matches('/').to_owned()
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| {
        let text = BASE64.encode(der);
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certificates.iter().map(block).collect()
}

/// Where the kubeconfig will be: opened before anything is done, there for others only when it is whole.
pub(crate) struct OutFile {
    partial: NamedTempFile,
    path: std::path::PathBuf,
}

impl OutFile {
    /// Makes the file under another name in the same folder, readable by its owner only.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.is_dir() {
            return Err(bad_input(format!("--out {}: this is a folder; give a file", path.display())));
        }
        let partial = NamedTempFile::with_prefix_in(".kubeconfig-", folder).map_err(|error| {
            bad_input(format!("--out {}: {error}; give a file in a folder that exists", path.display()))
        })?;
        Ok(Self { partial, path: path.to_owned() })
    }

    /// Writes and shows it, in place of what was there.
    pub(crate) fn publish(mut self, text: &str) -> Result<()> {
        use std::io::Write;
        let failed = |error: std::io::Error| anyhow!("{}: {error}", self.path.display());
        self.partial.write_all(text.as_bytes()).and_then(|()| self.partial.as_file().sync_all()).map_err(failed)?;
        self.partial.persist(&self.path).map_err(|e| anyhow!("{}: {}", self.path.display(), e.error))?;
        Ok(())
    }
}

/// `https://host:port` and nothing after it.
pub(crate) fn parse_server(text: &str) -> Result<String, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("{error}; expected https://host:port"))?;
    if url.scheme() != "https" || url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err("expected https://host:port".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_kubeconfig_is_for_its_owner_only_and_never_half_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.kubeconfig");
        let file = OutFile::create(&path).unwrap();
        assert!(!path.exists());
        file.publish("first").unwrap();
        OutFile::create(&path).unwrap().publish("second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(OutFile::create(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_server_is_an_https_address_without_more() {
        assert_eq!(parse_server("https://10.0.0.2:6443/").unwrap(), "https://10.0.0.2:6443");
        for bad in ["10.0.0.2:6443", "http://a", "https://a/b", "https://a?b", "https://u@a"] {
            assert!(parse_server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn certificates_are_written_as_pem() {
        let text = pem(&[vec![1; 50], vec![2]]);
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
