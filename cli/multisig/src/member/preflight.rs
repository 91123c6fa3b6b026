//! Finds everything that can be known to go wrong before the first write: API server, rights, helm and chart, the
//! cluster's token keys, Vault, and what earlier runs left.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use custody::trust::MemberTrust;
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::Namespace,
};
use kube::{Api, api::PostParams};
use serde::Deserialize;
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use super::{
    chart::{Helm, Rendered},
    configmaps::{self, Stored},
    plan::Plan,
    trust,
};
use crate::{
    cluster::{Cluster, ClusterArgs},
    failure::bad_input,
};

/// Where the admin's Vault token is taken from. Never a flag: flags are seen by every process of the machine.
const VAULT_TOKEN: &str = "VAULT_TOKEN";

/// All that the steps need, checked.
pub(crate) struct Ready {
    pub(crate) cluster: Cluster,
    pub(crate) cluster_uid: String,
    pub(crate) helm: Helm,
    pub(crate) chart: Rendered,
    pub(crate) vault: Admin,
    pub(crate) vault_setup: SetupPlan,
    pub(crate) before: Option<Stored>,
    pub(crate) trust: MemberTrust,
}

/// Checks; writes nothing.
pub(crate) async fn check(plan: &Plan, args: &ClusterArgs, helm: PathBuf) -> Result<Ready> {
    let token = vault_token()?;
    let connection = Connection::new(&plan.vault.address, &plan.vault.ca_bundle)
        .map_err(|error| bad_input(format!("vault: {error}")))?;
    let cluster = args.connect(Some(&plan.namespace)).await?;
    let cluster_uid = read_uid(&cluster).await?;
    check_rights(&cluster).await?;

    let helm = Helm::new(helm, args, plan).await?;
    let chart = helm.render().await?;

    let before = configmaps::find_trust(&cluster).await?;
    let trust = trust::merge(before.as_ref().map(|stored| &stored.trust), plan)?;

    let (issuer, jwks) = read_issuer(&cluster).await?;
    let vault_setup = plan.vault_setup(issuer, jwks);
    let vault = Admin::new(connection, &token)?;
    vault::preflight(&vault, &vault_setup).await?;
    Ok(Ready { cluster, cluster_uid, helm, chart, vault, vault_setup, before, trust })
}

fn vault_token() -> Result<Zeroizing<String>> {
    let token = std::env::var(VAULT_TOKEN).map(Zeroizing::new).ok().filter(|token| !token.trim().is_empty());
    token.ok_or_else(|| {
        bad_input(format!("{VAULT_TOKEN} is not set; set it to the token of this data centre's Vault admin"))
    })
}

async fn read_uid(cluster: &Cluster) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let system = namespaces.get_metadata("kube-system").await.map_err(|e| cluster.explain("cluster UID", e))?;
    system.metadata.uid.context("namespace kube-system has no UID")
}

/// What the steps write, as (group, resource, verb); cluster-wide where marked.
const RIGHTS: [(&str, &str, &str, bool); 13] = [
    ("", "namespaces", "patch", true),
    ("rbac.authorization.k8s.io", "clusterroles", "create", true),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create", true),
    ("rbac.authorization.k8s.io", "roles", "create", false),
    ("rbac.authorization.k8s.io", "rolebindings", "create", false),
    ("networking.k8s.io", "networkpolicies", "create", false),
    ("", "serviceaccounts", "create", false),
    ("", "serviceaccounts/token", "create", false),
    ("", "persistentvolumeclaims", "create", false),
    ("", "configmaps", "patch", false),
    // helm keeps its releases in Secrets.
    ("", "secrets", "create", false),
    ("", "secrets", "list", false),
    ("", "secrets", "get", false),
];

async fn check_rights(cluster: &Cluster) -> Result<()> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    for (group, resource, verb, cluster_wide) in RIGHTS {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource: Some(subresource.to_owned()),
                    verb: Some(verb.to_owned()),
                    namespace: (!cluster_wide).then(|| cluster.namespace.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| cluster.explain("your rights", error))?;
        if !answer.status.is_some_and(|status| status.allowed) {
            bail!("you may not {verb} {resource}; use the kubeconfig of this data centre's admin");
        }
    }
    Ok(())
}

/// The issuer and the keys of the cluster's service-account tokens, as OpenID Connect Discovery names them.
async fn read_issuer(cluster: &Cluster) -> Result<(String, Jwks)> {
    #[derive(Deserialize)]
    struct Discovery {
        issuer: String,
    }
    let discovery = fetch(cluster, "/.well-known/openid-configuration").await?;
    let discovery: Discovery =
        serde_json::from_str(&discovery).context("the API server's openid-configuration is malformed")?;
    let jwks = Jwks::parse(&fetch(cluster, "/openid/v1/jwks").await?)?;
    Ok((discovery.issuer, jwks))
}

async fn fetch(cluster: &Cluster, path: &str) -> Result<String> {
    let request = http::Request::get(path).body(Vec::new()).context("the request cannot be built")?;
    cluster.client.request_text(request).await.map_err(|error| cluster.explain(path, error))
}
