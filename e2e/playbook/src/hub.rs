//! The hub admin at the hub: applies Secrets, the manifest and the two kinds of resources, and reads conditions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::{
    Client,
    api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::member::{Member, Prepared};

/// How the hub reaches the broker, and what it needs to mint credentials there.
#[derive(Debug, Clone)]
pub struct NatsAccess {
    /// `tls://IP:PORT`.
    pub url: String,
    /// PEM of its roots.
    pub ca: String,
    /// Seed of the NATS operator's signing key.
    pub operator_signing_seed: String,
    /// `.creds` of the SYS user that may push accounts and no more.
    pub sys_creds: String,
}

/// The hub.
#[derive(Clone)]
pub struct Hub {
    /// The hub admin's client.
    pub client: Client,
    /// Namespace of the resources.
    pub namespace: String,
}

impl Hub {
    fn api(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// The MultisigClusters.
    pub fn clusters(&self) -> Api<DynamicObject> {
        self.api("multisig.dev", "v1alpha1", "MultisigCluster", "multisigclusters")
    }

    /// The MemberClusters.
    pub fn members(&self) -> Api<DynamicObject> {
        self.api("multisig.dev", "v1alpha1", "MemberCluster", "memberclusters")
    }

    /// The ConfigMaps beside them.
    pub fn config_maps(&self) -> Api<DynamicObject> {
        self.api("", "v1", "ConfigMap", "configmaps")
    }

    /// `kubectl apply --server-side`.
    pub async fn apply(&self, api: Api<DynamicObject>, object: Value) -> Result<DynamicObject> {
        let name = object["metadata"]["name"].as_str().context("an object has a name")?.to_owned();
        Ok(api.patch(&name, &PatchParams::apply("platform-team").force(), &Patch::Apply(object)).await?)
    }

    /// Namespace, manifest and NATS credentials: what the resources refer to.
    pub async fn apply_ground(&self, manifest: &str, nats: &NatsAccess) -> Result<()> {
        let namespaces: Api<DynamicObject> = Api::all_with(self.client.clone(), &namespace_resource());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.apply(namespaces, namespace).await?;
        self.apply_config_map("manifest", json!({"manifest": manifest})).await?;
        self.apply_config_map("nats-ca", json!({"ca.crt": nats.ca})).await?;
        self.apply_secret(
            "nats-operator",
            json!({"operator-signing.seed": nats.operator_signing_seed, "sys.creds": nats.sys_creds}),
        )
        .await
    }

    /// Deletes an object and waits until its finalizers have run.
    pub async fn delete(&self, api: &Api<DynamicObject>, name: &str) -> Result<()> {
        api.delete(name, &DeleteParams::default()).await?;
        crate::until(|| async {
            anyhow::ensure!(api.get_opt(name).await?.is_none(), "{name} is still there");
            Ok(())
        })
        .await
    }

    /// UID of the hub's kube-system namespace.
    pub async fn cluster_uid(&self) -> Result<String> {
        let namespaces: Api<DynamicObject> = Api::all_with(self.client.clone(), &namespace_resource());
        namespaces.get("kube-system").await?.metadata.uid.context("a namespace has a UID")
    }

    /// A ConfigMap of the hub admin.
    pub async fn apply_config_map(&self, name: &str, data: Value) -> Result<()> {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        self.apply(self.config_maps(), object).await?;
        Ok(())
    }

    /// A Secret of the hub admin.
    pub async fn apply_secret(&self, name: &str, data: Value) -> Result<()> {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        self.apply(self.api("", "v1", "Secret", "secrets"), object).await?;
        Ok(())
    }

    /// A member: its kubeconfig Secret and its MemberCluster.
    pub async fn apply_member(&self, name: &str, member: &Member, prepared: &Prepared) -> Result<()> {
        self.apply_secret(name, json!({"value": prepared.kubeconfig})).await?;
        self.apply(self.members(), member_cluster(name, member, prepared)).await?;
        Ok(())
    }

    /// Waits until a condition has `status` and its reason or message holds `needle`; returns the message.
    pub async fn await_condition(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        kind: &str,
        status: &str,
        needle: &str,
    ) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let object = api.get_opt(name).await?;
            let found = object.as_ref().and_then(|object| condition(object, kind));
            if let Some(found) = &found {
                let text = format!("{}: {}", found["reason"], found["message"]);
                if found["status"] == status && text.contains(needle) {
                    return Ok(found["message"].as_str().unwrap_or_default().to_owned());
                }
            }
            if Instant::now() > deadline {
                let conditions = object.map(|object| object.data["status"]["conditions"].clone());
                bail!("{name}: {kind} did not become {status} with '{needle}' in 120 s: {conditions:#?}");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

fn namespace_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Namespace"), "namespaces")
}

/// A condition of an object.
pub fn condition(object: &DynamicObject, kind: &str) -> Option<Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// A MemberCluster.
pub fn member_cluster(name: &str, member: &Member, prepared: &Prepared) -> Value {
    json!({
        "apiVersion": "multisig.dev/v1alpha1",
        "kind": "MemberCluster",
        "metadata": {"name": name},
        "spec": {
            "kubeconfigSecretRef": {"name": name, "key": "value"},
            "namespace": member.namespace,
            "dataCenter": member.data_center,
            "clusterUID": prepared.cluster_uid,
            "guard": "Optional",
        },
    })
}

/// What a MultisigCluster needs to know.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// The custody's identity, from the manifest.
    pub custody_id: String,
    /// EVM chain id.
    pub chain_id: u64,
    /// The broker.
    pub nats_url: String,
    /// MemberCluster and image of Keeper.
    pub keeper: (String, String),
    /// MemberCluster and image of Cooler.
    pub cooler: (String, String),
    /// App's public NKey, once its owner has sent it.
    pub app_nats_user: Option<String>,
    /// `policy.limits`.
    pub limits: Value,
}

/// A MultisigCluster.
pub fn multisig_cluster(name: &str, spec: &ClusterSpec) -> Value {
    let mut object = json!({
        "apiVersion": "multisig.dev/v1alpha1",
        "kind": "MultisigCluster",
        "metadata": {"name": name},
        "spec": {
            "profile": "Development",
            "custody": {
                "id": spec.custody_id,
                "scheme": "TwoOfThree",
                "manifestRef": {"name": "manifest", "key": "manifest"},
            },
            "separation": {"distinct": ["dataCenter"]},
            "chains": [{"name": "eth", "type": "EVM", "evm": {"chainID": spec.chain_id}}],
            "nats": {
                "urls": [spec.nats_url],
                "caBundleRef": {"name": "nats-ca", "key": "ca.crt"},
                "account": {"type": "Managed", "managed": {"secretRef": {"name": "nats-operator"}}},
            },
            "keeper": {"memberRef": {"name": spec.keeper.0}, "image": spec.keeper.1},
            "cooler": {"memberRef": {"name": spec.cooler.0}, "image": spec.cooler.1},
            "policy": {"limits": spec.limits},
        },
    });
    if let Some(user) = &spec.app_nats_user {
        object["spec"]["app"] = json!({"type": "External", "external": {"natsUser": user}});
    }
    object
}
