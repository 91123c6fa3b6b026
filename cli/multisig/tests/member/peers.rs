//! Fingerprints and approvals on a real API server, with reports and proposals as hub and workload leave them.

use std::{collections::BTreeMap, fs};

use crate::support::{DataCentre, NAMESPACE, path};
use custody::{
    Role,
    config::{HubLimits, MemberConfig, NatsConfig},
    identity::{Identity, fingerprint},
    report::{Digests, Report, WorkloadState},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

async fn write(place: &DataCentre, name: &str, key: &str, value: String) {
    let maps: Api<ConfigMap> = Api::namespaced(place.cluster.client(), NAMESPACE);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {key: value}});
    maps.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(map)).await.unwrap();
}

async fn report(place: &DataCentre, identity: Option<Identity>) {
    let report = Report {
        state: WorkloadState::AwaitingTrust,
        message: "cooler is not approved".into(),
        identity,
        credentials_generation: None,
        vault_key_version: Some(1),
        rewrap_left: None,
        audit_head: None,
        digests: Digests::default(),
        version: "0.1.0".into(),
    };
    write(place, "keeper-report", "report.json", serde_json::to_string(&report).unwrap()).await;
}

async fn propose(place: &DataCentre, peers: &[Identity]) {
    let config = MemberConfig {
        custody_id: custodies::fixed_id(),
        nats: NatsConfig { urls: vec!["tls://nats:4222".into()], ca_bundle: String::new() },
        policy: HubLimits::default(),
        vault_key_generation: None,
        proposed_peers: peers.iter().map(|peer| (peer.role, peer.clone())).collect::<BTreeMap<_, _>>(),
    };
    write(place, "keeper-config", "config.json", serde_json::to_string(&config).unwrap()).await;
}

#[tokio::test]
async fn keys_are_approved_only_with_the_right_fingerprint() {
    let place = DataCentre::start().await;
    assert!(place.member(&["status"]).await.failure(1).contains("member prepare"));
    place.prepare(&place.plan(), &[]).await.json();

    // At home.
    assert!(place.member(&["fingerprint"]).await.failure(1).contains("has not reported yet"));
    report(&place, None).await;
    assert!(place.member(&["fingerprint"]).await.failure(1).contains("cooler is not approved"));
    let own = custodies::identity(Role::Keeper, custodies::fixed_id(), 1);
    report(
        &place,
        Some(Identity {
            message_proof: custodies::identity(Role::Keeper, custodies::fixed_id(), 2).message_proof,
            ..own.clone()
        }),
    )
    .await;
    assert!(place.member(&["fingerprint"]).await.failure(1).contains("does not prove"));
    report(&place, Some(own.clone())).await;
    let said = place.member(&["fingerprint", "keeper"]).await.json();
    assert_eq!(said["fingerprint"], fingerprint(Role::Keeper, &own.keys));
    assert_eq!(said["identity"], serde_json::to_value(&own).unwrap());

    // At the other side.
    let cooler = custodies::identity(Role::Cooler, custodies::fixed_id(), 1);
    let told = fingerprint(Role::Cooler, &cooler.keys);
    assert!(place.member(&["approve", "cooler", "--fingerprint", &told]).await.failure(1).contains("not configured"));
    propose(&place, &[]).await;
    assert!(place.member(&["approve", "cooler", "--fingerprint", &told]).await.failure(1).contains("proposes no keys"));
    propose(&place, &[custodies::identity(Role::Cooler, custodies::fixed_id(), 2)]).await;
    let refused = place.member(&["approve", "cooler", "--fingerprint", &told]).await;
    assert!(refused.failure(1).contains("do not approve"), "{refused:?}");
    assert_eq!(place.member(&["peers"]).await.json()["peers"], json!([]));
    propose(&place, &[cooler]).await;
    let approved = place.member(&["approve", "cooler", "--fingerprint", &told]).await.json();
    assert_eq!((&approved["change"], &approved["keys"]), (&json!("updated"), &json!(1)));
    let again = place.member(&["approve", "cooler", "--fingerprint", &told]).await.json();
    assert_eq!(again["change"], "unchanged");

    // App, whose identity comes in a file; a third key needs --replace.
    let file = place.path("app.json");
    let approve_app = async |seed: u8, more: &[&str]| {
        let identity = custodies::identity(Role::App, custodies::fixed_id(), seed);
        fs::write(&file, serde_json::to_string(&identity).unwrap()).unwrap();
        let told = fingerprint(Role::App, &identity.keys);
        let mut words = vec!["approve", "app", "--identity", path(&file), "--fingerprint", &told];
        words.extend(more);
        place.member(&words).await
    };
    assert_eq!(approve_app(1, &[]).await.json()["keys"], 1);
    assert_eq!(approve_app(2, &[]).await.json()["keys"], 2);
    assert!(approve_app(3, &[]).await.failure(1).contains("--replace"));
    assert_eq!(approve_app(3, &["--replace"]).await.json()["keys"], 1);
    fs::write(&file, "{}").unwrap();
    let words = ["approve", "app", "--identity", path(&file), "--fingerprint", &told];
    assert!(place.member(&words).await.failure(2).contains("--identity"));

    // Approvals survive the next prepare, and everybody can see them.
    place.prepare(&place.plan(), &[]).await.json();
    let peers = place.member(&["peers"]).await.json();
    let fingerprints: Vec<&Value> =
        peers["peers"].as_array().unwrap().iter().map(|peer| &peer["fingerprint"]).collect();
    assert_eq!(
        fingerprints,
        [told.as_str(), &fingerprint(Role::App, &custodies::identity(Role::App, custodies::fixed_id(), 3).keys)]
    );
    let status = place.member(&["status"]).await.json();
    assert_eq!((&status["missing"], &status["workload"]["state"]), (&json!([]), &json!("AwaitingTrust")));
}

#[tokio::test]
async fn the_admin_allows_images_and_cools_commands_need_a_cooler() {
    let place = DataCentre::start().await;
    place.prepare(&place.plan(), &[]).await.json();
    let digest = format!("sha256:{}", "b".repeat(64));
    assert_eq!(place.member(&["images", "add", &digest]).await.json()["images"].as_array().unwrap().len(), 2);
    assert_eq!(place.member(&["images", "add", &digest]).await.json()["change"], "unchanged");
    assert_eq!(place.member(&["images", "remove", &digest]).await.json()["images"].as_array().unwrap().len(), 1);
    assert!(place.member(&["images", "add", "latest"]).await.failure(2).contains("not an image digest"));

    // Cooler's local commands, where there is no Cooler.
    let ended = place.run(&["cool", "wallets-export", "-n", NAMESPACE], &[]).await;
    assert!(ended.failure(1).contains("no pod cooler-0"), "{ended:?}");
    let ended = place.run(&["member", "freeze", "cooler", "--all", "--reason=theft", "-n", NAMESPACE], &[]).await;
    assert!(ended.failure(1).contains("no pod cooler-0"), "{ended:?}");
    let ended = place.run(&["member", "settle", "keeper", "/nowhere", "-n", NAMESPACE], &[]).await;
    assert!(ended.failure(2).contains("/nowhere"), "{ended:?}");
    let ended = place.run(&["cool", "import", "/nowhere", "-n", NAMESPACE], &[]).await;
    assert!(ended.failure(2).contains("/nowhere"), "{ended:?}");
}
