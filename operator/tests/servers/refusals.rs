//! What is refused, and that a refusal writes nothing to any member.

use std::collections::BTreeMap;

use chain::KeyRole;
use custody::{Role, trust::Profile};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, HUB, MEMBER, apply, config_map, member_cluster, secret},
    wait::until,
};

/// Nothing was written to either member.
fn untouched(ground: &Ground) {
    for cluster in [&ground.dc_a, &ground.dc_b] {
        assert_eq!(ground.writes(cluster), Vec::<String>::new(), "on {}", cluster.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_separation_that_is_not_real_writes_to_no_member() {
    let ground = Ground::start().await;
    ground.apply_ground().await;
    let operator = ground.operate("operator").await;
    let hub = ground.hub.client();

    // The same data centre, in other letters.
    let mut trust = ground.trust(Role::Cooler);
    trust.data_center = "FRA-1".to_owned();
    ground.put_trust(&ground.dc_b, &trust).await;
    ground.members().delete("dc-b", &DeleteParams::default()).await.unwrap();
    until("dc-b is gone", || async {
        if ground.members().get_opt("dc-b").await.unwrap().is_none() { Ok(()) } else { Err("there".to_owned()) }
    })
    .await;
    apply(&hub, HUB, member_cluster("dc-b", "FRA-1", ground.dc_b.uid())).await;
    ground.apply(ground.cluster()).await;
    ground.await_condition("Separated", "False", "SameDataCenter").await;
    ground.await_condition("Synced", "False", "NotSeparated").await;

    // The same member.
    let change = |cooler: &str| {
        let mut cluster = ground.cluster();
        cluster["spec"]["cooler"]["memberRef"]["name"] = json!(cooler);
        cluster
    };
    ground.apply(change("dc-a")).await;
    ground.await_condition("Separated", "False", "SameMember").await;

    // One cluster under two names: pinned alike, or pinned apart with kubeconfigs that lead to one.
    apply(&hub, HUB, secret("twin", json!({"value": ground.hub_kubeconfig(&ground.dc_a).await}))).await;
    apply(&hub, HUB, member_cluster("twin", "ams-2", ground.dc_a.uid())).await;
    ground.apply(change("twin")).await;
    ground.await_condition("Separated", "False", "SameCluster").await;
    apply(&hub, HUB, member_cluster("twin", "ams-2", ground.dc_b.uid())).await;
    ground.await_condition("Separated", "False", "SameCluster").await;
    ground.await_member("twin", "IdentityVerified", "False", "ClusterUIDMismatch").await;

    // A data centre that contradicts the hub.
    apply(&hub, HUB, secret("far", json!({"value": ground.hub_kubeconfig(&ground.dc_b).await}))).await;
    apply(&hub, HUB, member_cluster("far", "ams-2", ground.dc_b.uid())).await;
    ground.apply(change("far")).await;
    ground.await_condition("Separated", "False", "DataCenterMismatch").await;

    // A shared failure domain, or one that nobody has named.
    let mut cluster = change("far");
    cluster["spec"]["separation"] = json!({"distinct": ["dataCenter", "provider"]});
    ground.apply(cluster).await;
    ground.await_condition("Separated", "False", "SharedFailureDomain").await;

    // A place that has never been seen.
    apply(&hub, HUB, secret("nowhere", json!({"value": unreachable(&ground.hub_kubeconfig(&ground.dc_b).await)})))
        .await;
    apply(&hub, HUB, member_cluster("nowhere", "ams-2", ground.dc_b.uid())).await;
    ground.apply(change("nowhere")).await;
    ground.await_condition("Separated", "Unknown", "NotVerified").await;
    ground.await_condition("CoolerReachable", "False", "Unreachable").await;

    untouched(&ground);
    let finalizers = ground.clusters().get("main").await.unwrap().metadata.finalizers;
    assert_eq!(finalizers, None, "what has touched nothing is deleted without ceremony");
    ground.clusters().delete("main", &DeleteParams::default()).await.unwrap();
    assert!(ground.clusters().get_opt("main").await.unwrap().is_none());
    operator.stop().await;
}

/// The same kubeconfig for an address where nobody listens.
fn unreachable(kubeconfig: &str) -> String {
    let server = |line: &str| {
        if line.contains("server:") { "    server: https://127.0.0.1:1".to_owned() } else { line.to_owned() }
    };
    kubeconfig.lines().map(server).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_wrong_are_refused_whole_and_taken_when_mended() {
    let ground = Ground::start().await;
    let hub = ground.hub.client();
    let operator = ground.operate("operator").await;

    // Nothing is there yet, in any order.
    ground.apply(ground.cluster()).await;
    ground.await_condition("Ready", "False", "").await;
    ground.await_condition("Separated", "Unknown", "NotVerified").await;
    ground.apply_ground().await;
    let manifest = |text: &str| config_map("manifest", &BTreeMap::from([("manifest".to_owned(), text.to_owned())]));
    let good = ground.manifest.to_json();

    // A manifest that is none, half signed, or not the pinned one; before anything was ever written.
    let mut half: Value = serde_json::from_str(&good).unwrap();
    half["signatures"].as_array_mut().unwrap().pop();
    let mut production = ground.trust(Role::Keeper);
    production.profile = Profile::Production;
    let mut pinned = ground.trust(Role::Keeper);
    pinned.custody.as_mut().unwrap().manifest_digest = "0".repeat(64);
    for bad in ["{", &half.to_string()] {
        apply(&hub, HUB, manifest(bad)).await;
        // Mended at the end of the last round, it may have been applied by now.
        ground.await_condition("Synced", "False", "ManifestRefused").await;
    }
    untouched(&ground);
    ground.put_trust(&ground.dc_a, &production).await;
    apply(&hub, HUB, manifest(&good)).await;
    ground.await_condition("Synced", "False", "ProfileMismatch").await;
    untouched(&ground);
    ground.put_trust(&ground.dc_a, &pinned).await;
    let message = ground.await_condition("Synced", "False", "ManifestMismatch").await;
    assert!(message.starts_with("keeper: "), "{message}");
    assert_eq!(ground.writes(&ground.dc_a), Vec::<String>::new());
    ground.put_trust(&ground.dc_a, &ground.trust(Role::Keeper)).await;
    ground.await_condition("Synced", "True", "AsExpected").await;

    // A kubeconfig that would run a program inside the operator.
    let kubeconfig = ground.hub_kubeconfig(&ground.dc_a).await;
    let exec = "    exec: {apiVersion: client.authentication.k8s.io/v1, command: id}";
    let running: Vec<&str> = kubeconfig.lines().map(|line| if line.contains("token:") { exec } else { line }).collect();
    for bad in ["no kubeconfig at all".to_owned(), running.join("\n")] {
        apply(&hub, HUB, secret("dc-a", json!({"value": bad}))).await;
        ground.await_member("dc-a", "Reachable", "False", "KubeconfigRefused").await;
        ground.await_condition("KeeperReachable", "False", "KubeconfigRefused").await;
        apply(&hub, HUB, secret("dc-a", json!({"value": kubeconfig}))).await;
        ground.await_condition("KeeperReachable", "True", "AsExpected").await;
    }

    // The admin of data centre A withdraws the hub's token, and makes another.
    ground.kubectl(&ground.dc_a, &["delete", "secret", "multisig-hub-binding", "-n", MEMBER], b"");
    ground.await_member("dc-a", "CredentialValid", "False", "Unauthorized").await;
    apply(&ground.dc_a.client(), MEMBER, secret("multisig-hub-binding", json!({}))).await;
    let renewed = ground.hub_kubeconfig(&ground.dc_a).await;
    apply(&hub, HUB, secret("dc-a", json!({"value": renewed}))).await;
    ground.await_member("dc-a", "CredentialValid", "True", "AsExpected").await;
    ground.await_condition("KeeperReachable", "True", "AsExpected").await;

    // An object with our name that is not ours.
    ground.kubectl(&ground.dc_b, &["delete", "service", "cooler", "-n", MEMBER], b"");
    let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cooler"},
        "spec": {"ports": [{"port": 80}]}});
    until("a foreign Service", || async {
        // The operator may be faster in making its own again.
        ground.try_kubectl(&ground.dc_b, &["delete", "service", "cooler", "-n", MEMBER], b"");
        let (made, said) =
            ground.try_kubectl(&ground.dc_b, &["create", "-n", MEMBER, "-f", "-"], foreign.to_string().as_bytes());
        if made { Ok(()) } else { Err(said) }
    })
    .await;
    ground.await_condition("Synced", "False", "ForeignObject").await;
    let ports = ground.kubectl(
        &ground.dc_b,
        &["get", "service", "cooler", "-n", MEMBER, "-o", "jsonpath={.spec.ports[0].port}"],
        b"",
    );
    assert_eq!(ports, "80");
    ground.kubectl(&ground.dc_b, &["delete", "service", "cooler", "-n", MEMBER], b"");
    ground.await_condition("Synced", "True", "AsExpected").await;

    // The broker away, and its Secret gone.
    ground.nats.stop().await;
    nudge(&ground, "away").await;
    ground.await_condition("NatsConfigured", "False", "BrokerUnreachable").await;
    ground.nats.start_again().await.unwrap();
    ground.await_condition("NatsConfigured", "True", "AsExpected").await;
    ground.kubectl(&ground.hub, &["delete", "secret", "nats-operator", "-n", HUB], b"");
    ground.await_condition("NatsConfigured", "False", "NatsSecretRefused").await;
    ground.apply_ground().await;
    ground.await_condition("NatsConfigured", "True", "AsExpected").await;

    // The account's keys spoilt: never made anew over what may be in use.
    let spoilt = json!({"data": {"record.json": "e30="}});
    ground.kubectl(&ground.hub, &["patch", "secret", "main-nats-account", "-n", HUB, "-p", &spoilt.to_string()], b"");
    ground.await_condition("NatsConfigured", "False", "AccountStateRefused").await;

    // Who asks for what is not there yet is told.
    let mut strict = ground.cluster();
    strict["spec"]["profile"] = json!("Production");
    ground.apply(strict).await;
    ground.await_condition("Synced", "False", "GuardMissing").await;

    // A member serves one custody.
    let mut second = ground.cluster();
    second["metadata"]["name"] = json!("second");
    ground.apply(second).await;
    until("the second is refused", || async {
        let status = ground.clusters().get("second").await.unwrap().status.unwrap_or_default();
        let found =
            status.conditions.iter().any(|found| found.reason == "MemberClaimed" && found.message.contains("main"));
        if found { Ok(()) } else { Err(format!("{:?}", status.conditions)) }
    })
    .await;
    assert_eq!(half["signatures"][0]["role"], json!(KeyRole::Cool));
    operator.stop().await;
}

async fn nudge(ground: &Ground, value: &str) {
    let body = json!({"metadata": {"annotations": {"test/nudge": value}}});
    ground.clusters().patch("main", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}
