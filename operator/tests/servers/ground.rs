//! Servers, charts and the people who install them.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use custodies::{Ceremony, Custody};
use custody::{
    CustodyId, Role,
    manifest::SignedManifest,
    trust::{self, CustodyTrust, MemberTrust, VaultTrust},
};
use harness::{Options, cluster::Cluster, nats::Nats, servers};
use k8s_openapi::{
    api::{
        authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use multisig_api::{MemberCluster, MultisigCluster};
use serde_json::{Value, json};

use crate::{
    process::{Operator, operate},
    wait::until,
};

/// Namespace of the custom resources on the hub.
pub(crate) const HUB: &str = "hub";
/// Namespace on both members.
pub(crate) const MEMBER: &str = "custody";

/// Three clusters and a broker; charts installed, nothing applied.
pub(crate) struct Ground {
    pub(crate) hub: Cluster,
    pub(crate) dc_a: Cluster,
    pub(crate) dc_b: Cluster,
    pub(crate) nats: Nats,
    pub(crate) custody: CustodyId,
    pub(crate) manifest: SignedManifest,
    folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        harness::install_crypto();
        let (clusters, nats) =
            futures::try_join!(Cluster::start_three(["hub", "dc-a", "dc-b"]), Nats::start(Options::default())).unwrap();
        let [hub, dc_a, dc_b] = clusters;
        let custody: CustodyId = "00112233445566778899aabbccddeeff".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ground = Self { hub, dc_a, dc_b, nats, custody, manifest: manifest(custody), folder };
        namespace(&ground.hub, HUB).await;
        ground.install(&ground.hub, "multisig-operator-crds", "crds", HUB, &[]);
        let image = [
            "image.repository=r/operator".to_owned(),
            format!("image.digest=sha256:{}", "1".repeat(64)),
            "networkPolicy.enabled=true".to_owned(),
        ];
        ground.install(&ground.hub, "multisig-operator", "multisig-operator", HUB, &image);
        for (member, role) in [(&ground.dc_a, Role::Keeper), (&ground.dc_b, Role::Cooler)] {
            namespace(member, MEMBER).await;
            ground.install(member, "member", "member", MEMBER, &[format!("role={role}")]);
            ground.put_trust(member, &ground.trust(role)).await;
        }
        ground
    }

    /// What helm would install, applied as an admin.
    fn install(&self, cluster: &Cluster, chart: &str, release: &str, namespace: &str, values: &[String]) {
        let helm = servers::path("helm").unwrap().join("helm");
        let chart = servers::repository().join("charts").join(chart);
        let sets = values.iter().flat_map(|value| ["--set".to_owned(), value.clone()]);
        let output = Command::new(helm)
            .args(["template", release, chart.to_str().unwrap(), "--namespace", namespace])
            .args(sets)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.kubectl(cluster, &["apply", "--server-side", "-f", "-"], &output.stdout);
        if release == "crds" {
            let kinds = ["crd/memberclusters.multisig.dev", "crd/multisigclusters.multisig.dev"];
            self.kubectl(cluster, &["wait", "--for=condition=Established", "--timeout=60s", kinds[0], kinds[1]], b"");
        }
    }

    /// Runs kubectl as an admin; its output.
    pub(crate) fn kubectl(&self, cluster: &Cluster, args: &[&str], stdin: &[u8]) -> String {
        let (ok, output) = self.try_kubectl(cluster, args, stdin);
        assert!(ok, "kubectl {args:?}: {output}");
        output
    }

    /// Runs kubectl as an admin; whether it succeeded, and what it said.
    pub(crate) fn try_kubectl(&self, cluster: &Cluster, args: &[&str], stdin: &[u8]) -> (bool, String) {
        let kubeconfig = self.write(&format!("{}.admin", cluster.name()), &cluster.kubeconfig());
        let mut child = Command::new(servers::path("kubernetes").unwrap().join("kubectl"))
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the data centre's admin has decided.
    pub(crate) fn trust(&self, role: Role) -> MemberTrust {
        MemberTrust {
            vault: VaultTrust { key: format!("{MEMBER}.{role}"), ..custodies::vault(role) },
            custody: Some(CustodyTrust { id: self.custody, manifest_digest: self.manifest.digest() }),
            peers: BTreeMap::new(),
            local_policy: None,
            images: vec![digest(role)],
            ..Custody::fixed().trust(role)
        }
    }

    pub(crate) async fn put_trust(&self, member: &Cluster, trust: &MemberTrust) {
        let data = BTreeMap::from([(trust::KEY.to_owned(), trust.to_json())]);
        apply(&member.client(), MEMBER, config_map(trust::CONFIG_MAP, &data)).await;
    }

    /// The kubeconfig that `multisig member prepare` prints: a token bound to an object of the admin's.
    pub(crate) async fn hub_kubeconfig(&self, member: &Cluster) -> String {
        let binding = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            name: Some("multisig-hub-binding".to_owned()),
            uid: None,
        };
        let token = token(&member.client(), MEMBER, "multisig-hub", Some(binding)).await;
        member.kubeconfig_for(&token)
    }

    /// Everything that the hub admin applies: the ground and both members.
    pub(crate) async fn apply_ground(&self) {
        let hub = self.hub.client();
        let data = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        apply(&hub, HUB, config_map("manifest", &data("manifest", &self.manifest.to_json()))).await;
        apply(&hub, HUB, config_map("nats-ca", &data("ca.crt", self.nats.ca_pem()))).await;
        let (seed, creds) = (self.nats.operator_signing_seed(), self.nats.push_user_creds());
        apply(&hub, HUB, secret("nats-operator", json!({"operator-signing.seed": seed, "sys.creds": creds}))).await;
        for (name, member, data_center) in [("dc-a", &self.dc_a, "fra-1"), ("dc-b", &self.dc_b, "ams-2")] {
            let kubeconfig = self.hub_kubeconfig(member).await;
            apply(&hub, HUB, secret(name, json!({"value": kubeconfig}))).await;
            apply(&hub, HUB, member_cluster(name, data_center, member.uid())).await;
        }
    }

    /// A MultisigCluster over both members.
    pub(crate) fn cluster(&self) -> Value {
        json!({
            "apiVersion": "multisig.dev/v1alpha1",
            "kind": "MultisigCluster",
            "metadata": {"name": "main"},
            "spec": {
                "profile": "Development",
                "custody": {
                    "id": self.custody,
                    "scheme": "TwoOfThree",
                    "manifestRef": {"name": "manifest", "key": "manifest"},
                },
                "chains": [{"name": "eth", "type": "EVM", "evm": {"chainID": 1}}],
                "nats": {
                    "urls": [self.nats.url()],
                    "caBundleRef": {"name": "nats-ca", "key": "ca.crt"},
                    "account": {"type": "Managed", "managed": {"secretRef": {"name": "nats-operator"}}},
                },
                "keeper": {"memberRef": {"name": "dc-a"}, "image": image(Role::Keeper)},
                "cooler": {"memberRef": {"name": "dc-b"}, "image": image(Role::Cooler)},
            },
        })
    }

    pub(crate) async fn apply(&self, object: Value) {
        apply(&self.hub.client(), HUB, object).await;
    }

    pub(crate) fn clusters(&self) -> Api<MultisigCluster> {
        Api::namespaced(self.hub.client(), HUB)
    }

    pub(crate) fn members(&self) -> Api<MemberCluster> {
        Api::namespaced(self.hub.client(), HUB)
    }

    /// Starts an operator with the rights that its chart gives it, and no others.
    pub(crate) async fn operate(&self, name: &str) -> Operator {
        let token = token(&self.hub.client(), HUB, "multisig-operator", None).await;
        let kubeconfig = self.write(&format!("{name}.kubeconfig"), &self.hub.kubeconfig_for(&token));
        operate(name, HUB, &kubeconfig)
    }

    /// Requests of the operator to a cluster, by the cluster's own audit log.
    pub(crate) fn requests(&self, cluster: &Cluster) -> Vec<Value> {
        let users = [
            format!("system:serviceaccount:{MEMBER}:multisig-hub"),
            format!("system:serviceaccount:{HUB}:multisig-operator"),
        ];
        let own = |event: &Value| users.iter().any(|user| event["user"]["username"] == user.as_str());
        cluster.requests().unwrap().into_iter().filter(own).collect()
    }

    /// Those that wrote something other than the lease.
    pub(crate) fn writes(&self, cluster: &Cluster) -> Vec<String> {
        let verbs = ["create", "update", "patch", "delete"];
        let write = |event: &Value| {
            let resource = event["objectRef"]["resource"].as_str().unwrap_or_default();
            let verb = event["verb"].as_str().unwrap_or_default();
            verbs.contains(&verb) && resource != "leases"
        };
        let line = |event: Value| {
            let object = &event["objectRef"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
            format!("{} {}{subresource} {}", text(&event["verb"]), text(&object["resource"]), text(&object["name"]))
        };
        self.requests(cluster).into_iter().filter(write).map(line).collect()
    }

    /// How often it has looked at the signer's report.
    pub(crate) fn looks(&self, cluster: &Cluster, role: Role) -> usize {
        let report = format!("{role}-report");
        let look = |event: &&Value| event["verb"] == "get" && event["objectRef"]["name"] == report.as_str();
        self.requests(cluster).iter().filter(look).count()
    }

    /// Waits for a condition of the MultisigCluster `main`; its message.
    pub(crate) async fn await_condition(&self, kind: &str, status: &str, reason: &str) -> String {
        let found = || async {
            let status = self.clusters().get_opt("main").await.ok()??.status?;
            status.conditions.into_iter().find(|condition| condition.type_ == kind)
        };
        await_condition(found, kind, status, reason).await
    }

    /// Waits for a condition of a MemberCluster; its message.
    pub(crate) async fn await_member(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let found = || async {
            let status = self.members().get_opt(name).await.ok()??.status?;
            status.conditions.into_iter().find(|condition| condition.type_ == kind)
        };
        await_condition(found, kind, status, reason).await
    }
}

async fn await_condition<F: Future<Output = Option<Condition>>>(
    found: impl Fn() -> F,
    kind: &str,
    status: &str,
    reason: &str,
) -> String {
    until(&format!("{kind} {status} {reason}"), || async {
        match found().await {
            Some(found) if found.status == status && (reason.is_empty() || found.reason == reason) => Ok(found.message),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn token(client: &Client, namespace: &str, account: &str, bound: Option<BoundObjectReference>) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { audiences: Vec::new(), bound_object_ref: bound, expiration_seconds: Some(3600) };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap().status.unwrap().token
}

/// With the strictest Pod Security, as `multisig member prepare` makes it.
async fn namespace(cluster: &Cluster, name: &str) {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    let api: Api<DynamicObject> = Api::all_with(cluster.client(), &resource);
    api.patch(name, &PatchParams::apply("admin"), &Patch::Apply(object)).await.unwrap();
}

/// `kubectl apply --server-side` by the object's own people.
pub(crate) async fn apply(client: &Client, namespace: &str, object: Value) {
    try_apply(client, namespace, object).await.unwrap();
}

pub(crate) async fn try_apply(client: &Client, namespace: &str, object: Value) -> kube::Result<()> {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    api.patch(&object.name_any(), &PatchParams::apply("people").force(), &Patch::Apply(object)).await?;
    Ok(())
}

pub(crate) fn config_map(name: &str, data: &BTreeMap<String, String>) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn secret(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

pub(crate) fn member_cluster(name: &str, data_center: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "multisig.dev/v1alpha1",
        "kind": "MemberCluster",
        "metadata": {"name": name},
        "spec": {
            "kubeconfigSecretRef": {"name": name},
            "namespace": MEMBER,
            "dataCenter": data_center,
            "clusterUID": uid,
            "guard": "Optional",
        },
    })
}

fn digest(role: Role) -> String {
    format!("sha256:{}", if role == Role::Keeper { "a" } else { "b" }.repeat(64))
}

pub(crate) fn image(role: Role) -> String {
    format!("registry.example/{role}@{}", digest(role))
}

fn manifest(custody_id: CustodyId) -> SignedManifest {
    let safe = ["0x5afe000000000000000000000000000000000001"];
    Ceremony::fixed().id(custody_id).destinations("eip155:1", &safe).held().signed
}
