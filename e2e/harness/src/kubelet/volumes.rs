//! A pod's volumes on this host.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, PersistentVolumeClaim, ServiceAccount},
};
use kube::{Api, api::PostParams};

use super::{
    Node, create_folder,
    plan::{Source, VolumeKind, VolumePlan},
};
use crate::files;

/// The ConfigMap that Kubernetes itself makes in every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";
/// How often expiries and ConfigMaps are looked at; a real kubelet takes up to a minute.
const SYNC: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The volumes of one started pod.
pub(super) struct Volumes {
    plans: Vec<VolumePlan>,
    service_account: String,
    node: std::sync::Arc<Node>,
    /// When the first of the tokens has to be replaced.
    renew_at: Mutex<Option<Instant>>,
}

impl Volumes {
    pub(super) fn new(plans: Vec<VolumePlan>, service_account: String, node: std::sync::Arc<Node>) -> Self {
        Self { plans, service_account, node, renew_at: Mutex::new(None) }
    }

    /// Makes all folders and files. A missing claim, account or ConfigMap keeps the pod from starting.
    pub(super) async fn prepare(&self) -> Result<()> {
        for plan in &self.plans {
            match &plan.kind {
                VolumeKind::Claim(name) => {
                    let claims: Api<PersistentVolumeClaim> = self.api();
                    within(claims.get(name)).await.with_context(|| format!("persistentvolumeclaim '{name}'"))?;
                }
                VolumeKind::Empty | VolumeKind::Projected(_) => {
                    let _ = fs::remove_dir_all(&plan.folder);
                }
            }
            create_folder(&plan.folder)?;
        }
        self.renew_tokens().await?;
        self.sync_config_maps().await
    }

    /// Keeps tokens valid and ConfigMaps current. A failure is tried again at the next turn, as the kubelet does.
    pub(super) async fn keep(&self) -> Infallible {
        loop {
            tokio::time::sleep(SYNC).await;
            let due = self.renew_at.lock().is_ok_and(|at| at.is_some_and(|at| Instant::now() >= at));
            let renewed = if due { self.renew_tokens().await } else { Ok(()) };
            let synced = self.sync_config_maps().await;
            for error in [renewed.err(), synced.err()].into_iter().flatten() {
                tracing::debug!("a projected volume could not be renewed: {error:#}");
            }
        }
    }

    /// Replaces every token by a new one.
    pub(super) async fn renew_tokens(&self) -> Result<()> {
        let mut first: Option<Instant> = None;
        for (folder, source) in self.sources() {
            if let Source::Token { audience, seconds, path } = source {
                let (token, lifetime) = self.request_token(audience.clone(), *seconds).await?;
                write(&folder.join(path), token.as_bytes())?;
                let at = renew_at(Instant::now(), lifetime);
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        }
        *self.renew_at.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = first;
        Ok(())
    }

    /// A token and its lifetime.
    async fn request_token(&self, audience: Option<String>, seconds: i64) -> Result<(String, Duration)> {
        let account = &self.service_account;
        let spec = TokenRequestSpec {
            audiences: audience.into_iter().collect(),
            expiration_seconds: Some(seconds),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts: Api<ServiceAccount> = self.api();
        let params = PostParams::default();
        let answer = within(accounts.create_token_request(account, &params, &request)).await;
        let answer = answer.with_context(|| format!("no token for serviceaccount '{account}'"))?;
        // The API server may grant less than was asked for.
        let granted = answer.spec.expiration_seconds.unwrap_or(seconds);
        let token = answer.status.context("the TokenRequest's answer holds no token")?.token;
        Ok((token, Duration::from_secs(u64::try_from(granted).unwrap_or_default())))
    }

    async fn sync_config_maps(&self) -> Result<()> {
        for (folder, source) in self.sources() {
            if let Source::ConfigMap { name, items, optional } = source {
                let data = self.config_map(name, *optional).await?;
                let all: Vec<(String, String)> = data.keys().map(|key| (key.clone(), key.clone())).collect();
                for (key, path) in if items.is_empty() { &all } else { items } {
                    match data.get(key) {
                        Some(content) => write(&folder.join(path), content.as_bytes())?,
                        None if *optional => {}
                        None => anyhow::bail!("configmap '{name}' has no key '{key}'"),
                    }
                }
            }
        }
        Ok(())
    }

    async fn config_map(&self, name: &str, optional: bool) -> Result<std::collections::BTreeMap<String, String>> {
        if name == ROOT_CA {
            return Ok([("ca.crt".to_owned(), self.node.ca_pem.clone())].into());
        }
        let maps: Api<ConfigMap> = self.api();
        let map = within(maps.get_opt(name)).await.with_context(|| format!("configmap '{name}'"))?;
        match map {
            Some(map) => Ok(map.data.unwrap_or_default()),
            None if optional => Ok([].into()),
            None => anyhow::bail!("configmap '{name}' not found"),
        }
    }

    fn sources(&self) -> impl Iterator<Item = (&Path, &Source)> {
        self.plans.iter().flat_map(|plan| {
            let sources = match &plan.kind {
                VolumeKind::Projected(sources) => sources.as_slice(),
                VolumeKind::Claim(_) | VolumeKind::Empty => &[],
            };
            sources.iter().map(|source| (plan.folder.as_path(), source))
        })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.node.client.clone(), &self.node.namespace)
    }
}

/// The kubelet's rule: at 80 % of the lifetime.
fn renew_at(issued: Instant, lifetime: Duration) -> Instant {
    issued + lifetime * 4 / 5
}

/// Replaces a file where its content differs, so that a reader never sees a part.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), create_folder)?;
    files::write_private(path, content)
}

async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, request).await;
    Ok(answer.context("the API server does not answer")??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_at_four_fifths_of_its_lifetime() {
        let now = Instant::now();
        assert_eq!(renew_at(now, Duration::from_secs(600)), now + Duration::from_secs(480));
    }
}
