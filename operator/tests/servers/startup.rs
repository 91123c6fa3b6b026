//! The process: what it waits for, what it says meanwhile, and how it ends.

use harness::cluster::Cluster;
use k8s_openapi::{
    api::coordination::v1::Lease, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use multisig_api::MultisigCluster;
use serde_json::json;

use crate::{
    ground::{HUB, apply, member_cluster},
    process::operate,
    wait::until,
};

async fn install(hub: &Cluster) {
    let definitions: Api<CustomResourceDefinition> = Api::all(hub.client());
    for crd in multisig_api::crds() {
        let name = crd.metadata.name.clone().unwrap();
        definitions.patch(&name, &PatchParams::apply("admin").force(), &Patch::Apply(crd)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_its_definitions_survives_bad_objects_and_hands_the_lease_over() {
    harness::install_crypto();
    let hub = Cluster::start("hub").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, hub.kubeconfig()).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HUB}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(hub.client());
    namespaces.patch(HUB, &PatchParams::apply("admin"), &Patch::Apply(namespace)).await.unwrap();

    // No definitions yet: alive, not ready, and it says why.
    let operator = operate("waiting", HUB, &kubeconfig);
    until("it says what is missing", || async {
        let (code, text) = operator.get("/readyz").await;
        if code == 503 && text.contains("multisig-operator-crds") { Ok(()) } else { Err(text) }
    })
    .await;
    assert_eq!(operator.get("/livez").await.0, 200);

    // One object that this version can't read: the definition was looser once.
    install(&hub).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(hub.client());
    let name = "multisigclusters.multisig.dev";
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    // The API server itself still writes the fresh definition's status in between.
    until("the definition is looser", || async {
        let mut loose = definitions.get(name).await.map_err(|error| error.to_string())?;
        loose.metadata.managed_fields = None;
        loose.spec.versions[0].schema = serde_json::from_value(schema.clone()).map_err(|error| error.to_string())?;
        let replaced = definitions.replace(name, &kube::api::PostParams::default(), &loose).await;
        replaced.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let bad = json!({"apiVersion": "multisig.dev/v1alpha1", "kind": "MultisigCluster", "metadata": {"name": "bad"}, "spec": {"keeper": 7}});
    until("the bad object is stored", || async {
        crate::ground::try_apply(&hub.client(), HUB, bad.clone()).await.map_err(|error| error.to_string())
    })
    .await;
    install(&hub).await;

    // It becomes ready by itself, and others are served.
    until("it is ready", || async {
        let (code, text) = operator.get("/readyz").await;
        if code == 200 { Ok(()) } else { Err(text) }
    })
    .await;
    apply(&hub.client(), HUB, member_cluster("dc-a", "fra-1", hub.uid())).await;
    let members: Api<multisig_api::MemberCluster> = Api::namespaced(hub.client(), HUB);
    until("the member has a status", || async {
        let status = members.get("dc-a").await.unwrap().status;
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        if conditions.iter().any(|found| found.reason == "ReferenceMissing") {
            Ok(())
        } else {
            Err(format!("{conditions:?}"))
        }
    })
    .await;
    let metrics = operator.get("/metrics").await.1;
    assert!(
        metrics.contains(r#"multisig_condition{kind="MemberCluster",namespace="hub",name="dc-a",condition="Ready"} 0"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"multisig_reconciles_total{kind="MemberCluster",outcome="ok"}"#), "{metrics}");
    let events = Api::<k8s_openapi::api::events::v1::Event>::namespaced(hub.client(), HUB);
    let reasons: Vec<_> =
        events.list(&Default::default()).await.unwrap().items.into_iter().filter_map(|event| event.reason).collect();
    assert!(reasons.iter().any(|reason| reason == "ReferenceMissing"), "{reasons:?}");

    // Deleted, the member goes at once, for nobody uses it; its series go too.
    members.delete("dc-a", &DeleteParams::default()).await.unwrap();
    until("the member is gone", || async {
        if members.get_opt("dc-a").await.unwrap().is_none() { Ok(()) } else { Err("there".to_owned()) }
    })
    .await;

    until("its series are gone", || async {
        let metrics = operator.get("/metrics").await.1;
        if metrics.contains("dc-a") { Err(metrics) } else { Ok(()) }
    })
    .await;

    // The bad object can still be deleted.
    let clusters: Api<MultisigCluster> = Api::namespaced(hub.client(), HUB);
    clusters.delete("bad", &DeleteParams::default()).await.ok();

    // Told to stop, it hands the lease over.
    let leases: Api<Lease> = Api::namespaced(hub.client(), HUB);
    let holder = leases.get("multisig-operator").await.unwrap().spec.unwrap().holder_identity;
    assert!(holder.unwrap().starts_with("waiting-"));
    operator.stop().await;
    let holder = leases.get("multisig-operator").await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_taken_away_ends_the_process() {
    harness::install_crypto();
    let hub = Cluster::start("hub").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, hub.kubeconfig()).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HUB}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(hub.client());
    namespaces.patch(HUB, &PatchParams::apply("admin"), &Patch::Apply(namespace)).await.unwrap();
    install(&hub).await;
    let mut operator = operate("leader", HUB, &kubeconfig);
    let leases: Api<Lease> = Api::namespaced(hub.client(), HUB);
    until("it leads", || async { leases.get("multisig-operator").await.map(drop).map_err(|error| error.to_string()) })
        .await;
    let thief = json!({"spec": {"holderIdentity": "thief"}});
    leases.patch("multisig-operator", &PatchParams::default(), &Patch::Merge(thief)).await.unwrap();
    assert_eq!(operator.ended().await, "exit status: 1");
    assert!(operator.log().contains("the lease was lost"), "{}", operator.log());
}
