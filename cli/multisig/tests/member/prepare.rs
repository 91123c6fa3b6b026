//! `member prepare` on a real API server and a real Vault: what it leaves, what a second run leaves, and that nothing
//! is left when it can't go on.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use crate::support::{DataCentre, NAMESPACE, path};
use custody::trust::MemberTrust;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    rbac::v1::Role,
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn trust(client: &Client) -> MemberTrust {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let map = maps.get("multisig-trust").await.unwrap();
    MemberTrust::parse(map.data.unwrap()["trust.json"].as_bytes()).unwrap()
}

fn changes(result: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    result["changes"].as_array().unwrap().iter().map(|step| (text(&step["step"]), text(&step["change"]))).collect()
}

/// Steps that changed something.
fn changed(result: &Value) -> Vec<String> {
    changes(result).into_iter().filter(|(_, change)| change != "unchanged").map(|(step, _)| step).collect()
}

/// Writes by the admin so far, but for reviews and tokens, which leave nothing.
fn writes(place: &DataCentre) -> usize {
    let leaves_something = |event: &&Value| {
        let object = &event["objectRef"];
        event["user"]["username"] == "admin"
            && !["get", "list", "watch"].contains(&event["verb"].as_str().unwrap())
            && object["subresource"] != "token"
            && object["resource"] != "selfsubjectaccessreviews"
    };
    place.cluster.requests().unwrap().iter().filter(leaves_something).count()
}

#[tokio::test]
async fn a_data_centre_is_prepared_once_and_every_further_run_changes_only_what_differs() {
    let place = DataCentre::start().await;
    let client = place.cluster.client();

    let first = place.prepare(&place.plan(), &["--server", "https://192.0.2.1:6443"]).await.json();
    assert_eq!(first["clusterUID"], place.cluster.uid());
    assert_eq!(first["dataCenter"], "fra-1");
    assert_eq!(first["serviceAccountIssuer"], harness::cluster::ISSUER);
    assert!(changes(&first).values().any(|change| change == "created"));
    assert_eq!(first["missing"].as_array().unwrap().len(), 2, "cooler and app are not approved: {first}");

    // What the hub gets: an address that others reach, inline CA and token, for its owner's eyes only.
    let kubeconfig = fs::read_to_string(place.path("hub.kubeconfig")).unwrap();
    assert!(kubeconfig.contains("https://192.0.2.1:6443") && kubeconfig.contains("certificate-authority-data"));
    for forbidden in ["exec", "tokenFile", "client-", "insecure", "proxy"] {
        assert!(!kubeconfig.contains(forbidden), "{forbidden}");
    }
    assert_eq!(fs::metadata(place.path("hub.kubeconfig")).unwrap().permissions().mode() & 0o777, 0o600);

    // Pods of this namespace are restricted; placeholders are empty and say who fills them.
    let namespace = Api::<Namespace>::all(client.clone()).get(NAMESPACE).await.unwrap();
    assert_eq!(namespace.metadata.labels.unwrap()["pod-security.kubernetes.io/enforce"], "restricted");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    for (name, writer) in [("keeper-config", "hub"), ("keeper-credentials", "hub"), ("keeper-report", "workload")] {
        let placeholder = maps.get(name).await.unwrap();
        assert_eq!(placeholder.metadata.labels.unwrap()["multisig.dev/delegated"], writer);
        assert!(placeholder.data.is_none(), "{name}");
    }
    let stored = trust(&client).await;
    assert_eq!(stored.custody.as_ref().unwrap().id, custodies::fixed_id());
    assert_eq!(stored.vault.key, "custody-keeper.keeper");

    // The Vault has what the member trust names.
    let key = format!("{}/keys/{}", stored.vault.transit_mount, stored.vault.key);
    let key = place.vault.call(Method::GET, &key, None).await.unwrap();
    assert_eq!((&key["data"]["derived"], &key["data"]["exportable"]), (&json!(true), &json!(false)));
    let role = format!("auth/{}/role/{}", stored.vault.auth_mount, stored.vault.role);
    let role = place.vault.call(Method::GET, &role, None).await.unwrap();
    assert_eq!(role["data"]["bound_subject"], "system:serviceaccount:custody-keeper:keeper");

    // A second run writes nothing at all.
    let before = writes(&place);
    assert_eq!(changed(&place.prepare(&place.plan(), &[]).await.json()), Vec::<String>::new());
    assert_eq!(writes(&place), before);

    // A decision that is left out stays; one that changes is the only change.
    let mut plan = place.plan();
    plan["images"] = json!([format!("sha256:{}", "b".repeat(64))]);
    plan.as_object_mut().unwrap().remove("localPolicy");
    plan.as_object_mut().unwrap().remove("manifestFile");
    assert_eq!(changed(&place.prepare(&plan, &[]).await.json()), ["ConfigMap multisig-trust"]);
    let after = trust(&client).await;
    assert_eq!((&after.local_policy, &after.custody), (&stored.local_policy, &stored.custody));
    assert_ne!(after.images, stored.images);

    // A namespace keeps its role.
    let mut cooler = place.plan();
    cooler["role"] = json!("cooler");
    assert!(place.prepare(&cooler, &[]).await.failure(1).contains("belongs to keeper"));

    // The hub's data survive an upgrade of the chart, and what somebody else changed in the chart's objects is put right.
    let data = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"config.json": "{}"}});
    let hub = PatchParams::apply("multisig-operator");
    maps.patch("keeper-config", &hub, &Patch::Apply(&data)).await.unwrap();
    let roles: Api<Role> = Api::namespaced(client.clone(), NAMESPACE);
    let wide = json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    roles.patch("multisig-hub", &PatchParams::default(), &Patch::Merge(&wide)).await.unwrap();
    maps.delete("keeper-credentials", &DeleteParams::default()).await.unwrap();
    assert_eq!(changed(&place.prepare(&plan, &[]).await.json()), ["chart member"]);
    let rules = roles.get("multisig-hub").await.unwrap().rules.unwrap();
    assert!(rules.iter().all(|rule| !rule.resources.as_ref().unwrap().contains(&"secrets".to_owned())));
    assert_eq!(maps.get("keeper-config").await.unwrap().data.unwrap()["config.json"], "{}");
    assert!(maps.get("keeper-credentials").await.is_ok());
}

#[tokio::test]
async fn nothing_is_written_when_something_is_wrong_and_one_line_says_what() {
    let place = DataCentre::start().await;
    let helm = path(&place.helm).to_owned();
    let plan_with = |changes: &[(&str, Value)]| {
        let mut plan = place.plan();
        for (pointer, value) in changes {
            match plan.pointer_mut(pointer) {
                Some(field) => *field = value.clone(),
                None => plan[pointer.trim_start_matches('/')] = value.clone(),
            }
        }
        plan
    };

    // The file.
    for (change, names) in [
        (("/imagess", json!([])), "imagess"),
        (("/manifestFile", json!("half-signed.json")), "not signed by cold"),
        (("/manifestFile", json!("missing.json")), "manifestFile"),
        (("/localPolicy/assets/0/perTransaction", json!("1.5")), "perTransaction"),
        (("/vault/caFile", json!("plan.yaml")), "vault.caBundle"),
    ] {
        let ended = place.prepare(&plan_with(&[change]), &[]).await;
        assert!(ended.failure(2).contains(names), "{names}: {ended:?}");
    }

    // The admin's own access.
    let plan = place.path("plan.yaml");
    fs::write(&plan, place.plan().to_string()).unwrap();
    let out = place.path("hub.kubeconfig");
    let args = ["member", "prepare", path(&plan), "--out", path(&out), "--helm", &helm];
    let stranger = place.path("stranger.kubeconfig");
    fs::write(&stranger, place.cluster.kubeconfig_for("stranger")).unwrap();
    for (changes, code, says) in [
        (("VAULT_TOKEN", ""), 2, "VAULT_TOKEN is not set"),
        (("VAULT_TOKEN", "hvs.wrong"), 1, "does not accept the admin's token"),
        (("KUBECONFIG", "/nowhere"), 2, "kubeconfig"),
        (("KUBECONFIG", path(&stranger)), 1, "does not accept the kubeconfig's credentials"),
    ] {
        let ended = place.run(&args, &[changes]).await;
        assert!(ended.failure(code).contains(says), "{says}: {ended:?}");
    }
    let policy = json!({"policy": "path \"sys/mounts\" { capabilities = [\"read\"] }"});
    place.vault.call(Method::PUT, "sys/policies/acl/weak", Some(&policy)).await.unwrap();
    let token = json!({"policies": ["weak"]});
    let token = place.vault.call(Method::POST, "auth/token/create", Some(&token)).await.unwrap();
    let ended = place.run(&args, &[("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap())]).await;
    assert!(ended.failure(1).contains("may not write sys/mounts"), "{ended:?}");

    // Tools and places.
    let ended = place.prepare(&place.plan(), &["--helm", "/nowhere/helm"]).await;
    assert_eq!(ended.code, 2, "a second --helm is refused: {ended:?}");
    let ended =
        place.run(&["member", "prepare", path(&plan), "--out", path(&out), "--helm", "/nowhere/helm"], &[]).await;
    assert!(ended.failure(1).contains("--helm"), "{ended:?}");
    let ended = place.run(&["member", "prepare", path(&plan), "--out", "/nowhere/file", "--helm", &helm], &[]).await;
    assert!(ended.failure(2).contains("--out"), "{ended:?}");
    place.vault.seal().await.unwrap();
    assert!(place.prepare(&place.plan(), &[]).await.failure(1).contains("is sealed; unseal it"));
    place.vault.stop().await;
    assert!(place.prepare(&place.plan(), &[]).await.failure(1).contains("does not answer"));
    place.vault.start_again().await.unwrap();

    // Nothing was left, and --check leaves nothing either.
    assert_eq!(place.prepare(&place.plan(), &["--check"]).await.json()["hub"], Value::Null);
    assert_eq!(writes(&place), 0);
    assert!(!out.exists());
    let mounts = place.vault.call(Method::GET, "sys/mounts", None).await.unwrap();
    assert!(mounts["data"].get("multisig-transit/").is_none());

    place.cluster.stop().await;
    assert!(place.prepare(&place.plan(), &[]).await.failure(1).contains("does not answer"));
    place.cluster.start_again().await.unwrap();

    // The causes are gone: the same plan goes through.
    place.prepare(&place.plan(), &[]).await.json();
}
