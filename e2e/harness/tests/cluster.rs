//! API servers.

#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use harness::cluster::Cluster;
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, Namespace, Pod, ServiceAccount},
};
use kube::{Api, Error, api::PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    object(json!({"metadata": {"name": name}, "data": {"a": "b"}}))
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> u16 {
    match answer.unwrap_err() {
        Error::Api(status) => status.code,
        other => panic!("no answer of the API server: {other}"),
    }
}

#[tokio::test]
async fn three_clusters_start_together_and_share_nothing() {
    let clusters = Cluster::start_three(["hub", "dc-a", "dc-b"]).await.unwrap();
    let uids: HashSet<&str> = clusters.iter().map(Cluster::uid).collect();
    assert_eq!(uids.len(), 3);
    let [hub, a, _] = &clusters;
    let foreign = hub.client_for(kubeconfig_token(a)).await.unwrap();
    assert_eq!(code(Api::<ConfigMap>::default_namespaced(foreign).list(&Default::default()).await), 401);
}

fn kubeconfig_token(cluster: &Cluster) -> &'static str {
    let kubeconfig = cluster.kubeconfig();
    assert!(kubeconfig.contains("certificate-authority-data") && !kubeconfig.contains("insecure"));
    let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap().to_owned();
    token.leak()
}

#[tokio::test]
async fn a_lost_cluster_refuses_and_returns_with_its_data_on_the_same_port() {
    let cluster = Cluster::start("lost").await.unwrap();
    let (uid, port) = (cluster.uid().to_owned(), cluster.port());
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();

    cluster.stop().await;
    assert!(maps.get("kept").await.is_err());

    cluster.start_again().await.unwrap();
    assert_eq!(maps.get("kept").await.unwrap().data.unwrap()["a"], "b");
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    assert_eq!(namespaces.get("kube-system").await.unwrap().metadata.uid.unwrap(), uid);
    assert_eq!(cluster.port(), port);
}

#[tokio::test]
async fn a_paused_cluster_is_a_blackhole_until_it_is_resumed() {
    let cluster = Cluster::start("paused").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    cluster.pause();
    let answer = tokio::time::timeout(Duration::from_millis(500), maps.get_opt("any")).await;
    assert!(answer.is_err(), "no answer, not even a refusal");
    cluster.resume();
    assert!(maps.get_opt("any").await.unwrap().is_none());
}

#[tokio::test]
async fn rights_admission_policies_and_pod_security_are_enforced() {
    let cluster = Cluster::start("rules").await.unwrap();
    let (client, create) = (cluster.client(), PostParams::default());

    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    accounts.create(&create, &object(json!({"metadata": {"name": "nobody"}}))).await.unwrap();
    let request: TokenRequest = object(json!({"spec": {"audiences": [], "expirationSeconds": 600}}));
    let token = accounts.create_token_request("nobody", &create, &request).await.unwrap().status.unwrap().token;
    let nobody = cluster.client_for(&token).await.unwrap();
    assert_eq!(code(Api::<ConfigMap>::namespaced(nobody, "default").get("any").await), 403);

    let restricted =
        json!({"metadata": {"name": "custody", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    Api::<Namespace>::all(client.clone()).create(&create, &object(restricted)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "custody");
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    assert_eq!(code(pods.create(&create, &object(pod)).await), 403);

    let policy = json!({"metadata": {"name": "no-secrets"}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]},
        "validations": [{"expression": "object.metadata.name != 'forbidden'"}],
    }});
    let binding = json!({"metadata": {"name": "no-secrets"}, "spec": {
        "policyName": "no-secrets", "validationActions": ["Deny"]}});
    Api::<ValidatingAdmissionPolicy>::all(client.clone()).create(&create, &object(policy)).await.unwrap();
    Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).create(&create, &object(binding)).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let dry_run = PostParams { dry_run: true, ..create };
    let until = Instant::now() + DEADLINE;
    while maps.create(&dry_run, &config_map("forbidden")).await.is_ok() {
        assert!(Instant::now() < until, "the policy never took effect");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(code(maps.create(&dry_run, &config_map("forbidden")).await), 422);
    maps.create(&dry_run, &config_map("allowed")).await.unwrap();
}

#[tokio::test]
async fn every_request_is_on_record_with_who_made_it_and_what_it_wrote() {
    let cluster = Cluster::start("audited").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    maps.create(&PostParams::default(), &config_map("written")).await.unwrap();
    let requests = cluster.requests().unwrap();
    let write = requests.iter().find(|request| request["objectRef"]["name"] == "written").unwrap();
    assert_eq!((&write["user"]["username"], &write["verb"]), (&json!("admin"), &json!("create")));
    assert_eq!(write["requestObject"]["data"], json!({"a": "b"}));
    assert_eq!(write["responseStatus"]["code"], json!(201));
}
