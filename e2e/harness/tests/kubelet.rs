//! The stand-in for StatefulSet controller and kubelet.

#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use harness::{cluster::Cluster, kubelet::Kubelet};
use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetStatus},
    authentication::v1::TokenReview,
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NAMESPACE: &str = "custody-keeper";
const DEADLINE: Duration = Duration::from_secs(60);

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The shape that the operator applies.
fn keeper() -> Value {
    let kube = "/var/run/secrets/multisig/kube";
    let vault = "/var/run/secrets/multisig/vault";
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "keeper"},
        "spec": {
            "replicas": 1, "serviceName": "keeper", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "keeper"}},
            "template": {"metadata": {"labels": {"app": "keeper"}}, "spec": {
                "serviceAccountName": "keeper",
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "keeper", "image": "local/keeper@sha256:00",
                    "args": [
                        "run", "--data-dir=/data", format!("--kube-dir={kube}"),
                        format!("--vault-token-file={vault}/token"), format!("--namespace={NAMESPACE}"),
                        "--listen=0.0.0.0:8080",
                    ],
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/data"},
                        {"name": "kube", "mountPath": kube, "readOnly": true},
                        {"name": "vault", "mountPath": vault, "readOnly": true},
                    ],
                }],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "keeper-data"}},
                    {"name": "kube", "projected": {"sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {"configMap": {"name": "settings", "optional": true}},
                    ]}},
                    {"name": "vault", "projected": {"sources": [
                        {"serviceAccountToken": {"path": "token", "audience": "vault-a", "expirationSeconds": 600}},
                    ]}},
                ],
            }},
        },
    })
}

/// A cluster with everything that the data centre's admin makes, and a kubelet.
struct Fixture {
    kubelet: Kubelet,
    cluster: Cluster,
}

impl Fixture {
    async fn new() -> Self {
        let cluster = Cluster::start("kubelet").await.unwrap();
        let (client, create) = (cluster.client(), PostParams::default());
        let namespace = object(json!({"metadata": {"name": NAMESPACE}}));
        Api::<Namespace>::all(client.clone()).create(&create, &namespace).await.unwrap();
        let claim = json!({"metadata": {"name": "keeper-data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        Self::api::<PersistentVolumeClaim>(&client).create(&create, &object(claim)).await.unwrap();
        let account = object(json!({"metadata": {"name": "keeper"}}));
        Self::api::<ServiceAccount>(&client).create(&create, &account).await.unwrap();
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_test-workload"));
        let binaries = BTreeMap::from([("keeper".to_owned(), binary)]);
        let kubelet = Kubelet::run(&cluster, NAMESPACE, binaries).await.unwrap();
        Self { kubelet, cluster }
    }

    /// With the StatefulSet applied and ready.
    async fn running() -> Self {
        let fixture = Self::new().await;
        fixture.apply(keeper()).await;
        fixture.kubelet.ready("keeper", DEADLINE).await.unwrap();
        fixture
    }

    fn api<K>(client: &Client) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(client.clone(), NAMESPACE)
    }

    fn sets(&self) -> Api<StatefulSet> {
        Self::api(&self.cluster.client())
    }

    async fn apply(&self, set: Value) {
        let params = PatchParams::apply("multisig-operator");
        self.sets().patch("keeper", &params, &Patch::Apply(set)).await.unwrap();
    }

    async fn status(&self) -> StatefulSetStatus {
        self.sets().get("keeper").await.unwrap().status.unwrap_or_default()
    }

    /// Polls until the condition holds.
    async fn eventually(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !condition(self).await {
            assert!(Instant::now() < until, "never: {what}\n{}", self.kubelet.log("keeper").unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn token(&self, volume: &str) -> String {
        let path = format!("/var/run/secrets/multisig/{volume}/token");
        std::fs::read_to_string(self.kubelet.host_path("keeper", &path).unwrap()).unwrap()
    }

    /// Whom the API server takes the token for, if it is for this audience.
    async fn review(&self, token: &str, audience: Option<&str>) -> Option<String> {
        let audiences: Vec<&str> = audience.into_iter().collect();
        let review: TokenReview = object(json!({"spec": {"token": token, "audiences": audiences}}));
        let reviews: Api<TokenReview> = Api::all(self.cluster.client());
        let status = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
        status.authenticated.unwrap_or_default().then(|| status.user.unwrap().username.unwrap())
    }
}

#[tokio::test]
async fn an_applied_statefulset_runs_and_its_status_says_so() {
    let fixture = Fixture::running().await;
    let told = async |f: &Fixture| {
        let status = f.status().await;
        status.ready_replicas == Some(1) && status.available_replicas == Some(1)
    };
    fixture.eventually("ready in the status", told).await;
    let (set, status) = (fixture.sets().get("keeper").await.unwrap(), fixture.status().await);
    assert_eq!(status.observed_generation, set.metadata.generation);
    assert_eq!((status.replicas, status.updated_replicas), (1, Some(1)));
    assert!(status.current_revision.is_some() && status.current_revision == status.update_revision);

    let data = fixture.kubelet.host_path("keeper", "/data/unready").unwrap();
    std::fs::write(&data, "").unwrap();
    fixture.eventually("not ready", async |f| f.status().await.ready_replicas.unwrap_or_default() == 0).await;
    assert_eq!(fixture.status().await.replicas, 1, "it still runs");
}

#[tokio::test]
async fn projected_tokens_are_real_for_their_audience_alone_and_are_renewed() {
    let fixture = Fixture::running().await;
    let user = Some(format!("system:serviceaccount:{NAMESPACE}:keeper"));
    let (kube, vault) = (fixture.token("kube"), fixture.token("vault"));
    assert_eq!(fixture.review(&kube, None).await, user);
    assert_eq!(fixture.review(&vault, Some("vault-a")).await, user);
    assert_eq!(fixture.review(&vault, None).await, None, "Vault's token is none for the API server");
    assert_eq!(fixture.review(&kube, Some("vault-a")).await, None, "the API server's token is none for Vault");

    let ca = fixture.kubelet.host_path("keeper", "/var/run/secrets/multisig/kube/ca.crt").unwrap();
    assert_eq!(std::fs::read_to_string(ca).unwrap(), fixture.cluster.ca_pem());

    fixture.kubelet.renew_tokens("keeper").await.unwrap();
    assert_ne!(fixture.token("vault"), vault);
    assert_eq!(fixture.review(&fixture.token("vault"), Some("vault-a")).await, user);
}

#[tokio::test]
async fn a_projected_configmap_follows_its_changes() {
    let fixture = Fixture::running().await;
    let file = fixture.kubelet.host_path("keeper", "/var/run/secrets/multisig/kube/mode").unwrap();
    assert!(!file.exists(), "the ConfigMap is optional and not there");
    let maps: Api<ConfigMap> = Fixture::api(&fixture.cluster.client());
    for content in ["one", "two"] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"mode": content}});
        maps.patch("settings", &PatchParams::apply("test"), &Patch::Apply(map)).await.unwrap();
        let holds = async |_: &Fixture| std::fs::read_to_string(&file).is_ok_and(|text| text == content);
        fixture.eventually("the file follows", holds).await;
    }
}

#[tokio::test]
async fn a_command_gets_the_containers_folders_and_a_clean_environment() {
    let fixture = Fixture::running().await;
    let kubelet = &fixture.kubelet;
    let output = kubelet.exec("keeper", &["show", "--plan=/data/plan"], b"in").await.unwrap();
    assert!(output.status.success());
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let data = kubelet.host_path("keeper", "/data").unwrap().display().to_string();
    let kube = kubelet.host_path("keeper", "/var/run/secrets/multisig/kube").unwrap().display().to_string();
    let vault = kubelet.host_path("keeper", "/var/run/secrets/multisig/vault/token").unwrap().display().to_string();
    let expected = json!([
        "show",
        format!("--plan={data}/plan"),
        format!("--data-dir={data}"),
        format!("--kube-dir={kube}"),
        format!("--vault-token-file={vault}"),
        format!("--namespace={NAMESPACE}"),
    ]);
    assert_eq!(shown["args"], expected);
    assert_eq!(shown["stdin"], "in");
    let names: Vec<&String> = shown["env"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "PATH", "TMPDIR"]);

    let own = kubelet.exec("keeper", &["show", "--namespace=other"], b"").await.unwrap();
    let shown: Value = serde_json::from_slice(&own.stdout).unwrap();
    let namespaces =
        shown["args"].as_array().unwrap().iter().filter(|arg| arg.as_str().unwrap().contains("--namespace"));
    assert_eq!(namespaces.collect::<Vec<_>>(), ["--namespace=other"]);
    assert!(!kubelet.exec("keeper", &["unknown"], b"").await.unwrap().status.success());
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_with_the_same_data() {
    let fixture = Fixture::running().await;
    let kubelet = &fixture.kubelet;
    let file = kubelet.host_path("keeper", "/data/kept").unwrap();
    std::fs::write(&file, "x").unwrap();
    let url = kubelet.http("keeper").unwrap();

    kubelet.kill("keeper").unwrap();
    fixture.eventually("a second start", async |f| f.kubelet.starts("keeper").unwrap() == 2).await;
    kubelet.ready("keeper", DEADLINE).await.unwrap();
    assert!(file.exists());
    assert_eq!(kubelet.http("keeper").unwrap(), url);

    let http = harness::tls::plain_client().unwrap();
    let _ = http.get(format!("{url}/exit")).send().await;
    fixture.eventually("a third start", async |f| f.kubelet.starts("keeper").unwrap() == 3).await;
    assert!(kubelet.log("keeper").unwrap().contains("kubelet: the container ended: exit status: 1"));
}

#[tokio::test]
async fn it_follows_the_template_and_the_replicas_and_stops_with_its_statefulset() {
    let fixture = Fixture::running().await;
    let runs = async |f: &Fixture| f.kubelet.host_path("keeper", "/data").is_ok();
    let first = fixture.status().await.current_revision;

    let mut changed = keeper();
    changed["spec"]["template"]["spec"]["containers"][0]["args"][0] = json!("show");
    changed["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap().insert(0, json!("run"));
    fixture.apply(changed).await;
    fixture.eventually("the new arguments", async |f| f.kubelet.log("keeper").unwrap().contains("\"show\"")).await;
    fixture.eventually("the new revision", async |f| f.status().await.current_revision != first).await;

    let mut none = keeper();
    none["spec"]["replicas"] = json!(0);
    fixture.apply(none).await;
    fixture.eventually("no replica", async |f| f.status().await.replicas == 0 && !runs(f).await).await;
    let (set, status) = (fixture.sets().get("keeper").await.unwrap(), fixture.status().await);
    assert_eq!(status.observed_generation, set.metadata.generation);

    fixture.apply(keeper()).await;
    fixture.kubelet.ready("keeper", DEADLINE).await.unwrap();
    fixture.sets().delete("keeper", &DeleteParams::default()).await.unwrap();
    fixture.eventually("stopped", async |f| !runs(f).await).await;
}

#[tokio::test]
async fn a_lost_node_shows_in_the_status_and_comes_back() {
    let fixture = Fixture::running().await;
    fixture.kubelet.pause("keeper", true).unwrap();
    fixture.eventually("lost", async |f| f.status().await.ready_replicas.unwrap_or_default() == 0).await;
    assert!(fixture.kubelet.exec("keeper", &["show"], b"").await.is_err());
    fixture.kubelet.pause("keeper", false).unwrap();
    fixture.kubelet.ready("keeper", DEADLINE).await.unwrap();
    fixture.eventually("back", async |f| f.status().await.ready_replicas == Some(1)).await;
}

#[tokio::test]
async fn it_goes_on_after_the_api_server_was_away() {
    let fixture = Fixture::running().await;
    fixture.cluster.stop().await;
    assert!(fixture.kubelet.ready("keeper", DEADLINE).await.is_ok(), "the container runs without an API server");
    fixture.cluster.start_again().await.unwrap();
    let mut none = keeper();
    none["spec"]["replicas"] = json!(0);
    fixture.apply(none).await;
    fixture.eventually("no replica", async |f| f.status().await.replicas == 0).await;
}

#[tokio::test]
async fn what_the_admin_has_not_made_keeps_the_pod_from_starting_and_the_log_says_what() {
    let fixture = Fixture::new().await;
    let mut set = keeper();
    set["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = json!("missing");
    fixture.apply(set).await;
    let told = async |f: &Fixture| f.kubelet.log("keeper").unwrap().contains("persistentvolumeclaim 'missing'");
    fixture.eventually("the claim is named", told).await;
    let mut set = keeper();
    set["spec"]["template"]["spec"]["serviceAccountName"] = json!("nobody");
    fixture.apply(set).await;
    let told = async |f: &Fixture| f.kubelet.log("keeper").unwrap().contains("serviceaccount 'nobody'");
    fixture.eventually("the account is named", told).await;
    fixture.apply(keeper()).await;
    fixture.kubelet.ready("keeper", DEADLINE).await.unwrap();
}
