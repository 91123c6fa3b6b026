//! The ConfigMaps of a member, read and written with the admin's rights.

use std::fmt::Display;

use anyhow::{Context, Result, anyhow, bail};
use custody::{
    Role,
    config::MemberConfig,
    report::Report,
    trust::{self, MemberTrust},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::{Cluster, is_missing},
    objects::MANAGER,
    output::Change,
};

/// The member trust as it was read, with the version that a write has to replace.
pub(crate) struct Stored {
    pub(crate) trust: MemberTrust,
    resource_version: Option<String>,
}

/// Reads the member trust; `None` before the first `prepare`.
pub(crate) async fn find_trust(cluster: &Cluster) -> Result<Option<Stored>> {
    let Some(map) = find(cluster, trust::CONFIG_MAP).await? else { return Ok(None) };
    let resource_version = map.metadata.resource_version.clone();
    let Some(text) = value(&map, trust::KEY) else { return Ok(None) };
    Ok(Some(Stored { trust: MemberTrust::parse(text.as_bytes())?, resource_version }))
}

/// Reads the member trust of a prepared member.
pub(crate) async fn read_trust(cluster: &Cluster) -> Result<Stored> {
    find_trust(cluster).await?.with_context(|| {
        format!(
            "namespace {} has no ConfigMap {}; name the member's namespace with -n, or run `multisig member prepare`",
            cluster.namespace,
            trust::CONFIG_MAP
        )
    })
}

/// Writes the member trust unless it is what was read. A write that somebody else made in between is not undone: the
/// server refuses this one.
pub(crate) async fn write_trust(cluster: &Cluster, before: Option<&Stored>, trust: &MemberTrust) -> Result<Change> {
    trust.validate()?;
    if before.is_some_and(|stored| stored.trust == *trust) {
        return Ok(Change::Unchanged);
    }
    let wanted = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": trust::CONFIG_MAP,
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/part-of": "multisig"},
            "resourceVersion": before.and_then(|stored| stored.resource_version.as_deref()),
        },
        "data": {trust::KEY: trust.to_json()},
    });
    maps(cluster)
        .patch(trust::CONFIG_MAP, &PatchParams::apply(MANAGER), &Patch::Apply(&wanted))
        .await
        .map_err(|error| cluster.explain(&format!("ConfigMap {}", trust::CONFIG_MAP), error))?;
    Ok(if before.is_some() { Change::Updated } else { Change::Created })
}

/// The workload's report; `None` before it ran.
pub(crate) async fn find_report(cluster: &Cluster, role: Role) -> Result<Option<Report>> {
    let name = custody::report::report_map(role);
    let map = find(cluster, &name).await?.ok_or_else(|| not_prepared(cluster, &name))?;
    value(&map, custody::report::REPORT_KEY)
        .map(|text| serde_json::from_str(text).map_err(|e| malformed(&name, e)))
        .transpose()
}

/// The workload's config; `None` before the hub wrote it.
pub(crate) async fn find_config(cluster: &Cluster, role: Role) -> Result<Option<MemberConfig>> {
    let name = custody::config::config_map(role);
    let map = find(cluster, &name).await?.ok_or_else(|| not_prepared(cluster, &name))?;
    value(&map, custody::config::CONFIG_KEY)
        .map(|text| serde_json::from_str(text).map_err(|e| malformed(&name, e)))
        .transpose()
}

/// The signer that runs in the namespace.
pub(crate) async fn own_role(cluster: &Cluster, given: Option<Role>) -> Result<Role> {
    match given {
        Some(role @ (Role::Keeper | Role::Cooler)) => Ok(role),
        Some(role) => bail!("no member runs {role}; name keeper or cooler"),
        None => Ok(read_trust(cluster).await?.trust.role),
    }
}

fn maps(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

async fn find(cluster: &Cluster, name: &str) -> Result<Option<ConfigMap>> {
    match maps(cluster).get(name).await {
        Ok(map) => Ok(Some(map)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(cluster.explain(&format!("ConfigMap {name}"), error)),
    }
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

fn not_prepared(cluster: &Cluster, name: &str) -> anyhow::Error {
    anyhow!(
        "namespace {} has no ConfigMap {name}; name the member's namespace with -n, or run `multisig member prepare`",
        cluster.namespace
    )
}

fn malformed(name: &str, error: impl Display) -> anyhow::Error {
    anyhow!("ConfigMap {name} is malformed ({error}); operator, workload and this program must have the same version")
}
