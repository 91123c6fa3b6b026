//! What the hub's token and the workload's may do on a member, asked of and tried on a real API server.

use crate::support::{DataCentre, NAMESPACE};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{ConfigMap, Namespace, Secret, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// Whether the client's owner may do this; an empty name is any object, an empty namespace the whole cluster.
async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: some(group),
                resource: some(resource),
                subresource: some(subresource),
                verb: some(verb),
                namespace: some(namespace),
                name: some(name),
                ..Default::default()
            }),
            ..Default::default()
        },
        ..Default::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Every verb on every resource and name below that is not here is refused.
const HUB: [(&str, &str, &str, &[&str]); 14] = [
    ("apps", "statefulsets", "keeper", &["get", "list", "watch", "create", "patch", "delete"]),
    ("apps", "statefulsets", "other", &["get", "list", "watch"]),
    ("apps", "statefulsets", "", &["get", "list", "watch"]),
    ("", "services", "keeper", &["get", "create", "patch", "delete"]),
    ("policy", "poddisruptionbudgets", "keeper", &["get", "create", "patch", "delete"]),
    ("", "configmaps", "keeper-config", &["get", "list", "watch", "patch"]),
    ("", "configmaps", "keeper-credentials", &["get", "list", "watch", "patch"]),
    ("", "configmaps", "keeper-report", &["get", "list", "watch"]),
    ("", "configmaps", "multisig-trust", &["get", "list", "watch"]),
    ("", "configmaps", "", &["get", "list", "watch"]),
    ("", "pods", "", &["get", "list", "watch"]),
    ("", "pods", "keeper-0", &["get", "list", "watch"]),
    ("", "events", "", &["get", "list", "watch"]),
    ("", "serviceaccounts/token", "multisig-hub", &["create"]),
];

const NEVER: [(&str, &str, &str); 30] = [
    ("", "secrets", ""),
    ("", "secrets", "multisig-hub-binding"),
    ("", "services", ""),
    ("", "services", "other"),
    ("policy", "poddisruptionbudgets", "other"),
    ("", "persistentvolumeclaims", ""),
    ("", "persistentvolumeclaims", "keeper-data"),
    ("", "persistentvolumes", ""),
    ("", "pods/exec", "keeper-0"),
    ("", "pods/attach", "keeper-0"),
    ("", "pods/portforward", "keeper-0"),
    ("", "pods/log", "keeper-0"),
    ("", "pods/ephemeralcontainers", "keeper-0"),
    ("", "serviceaccounts", ""),
    ("", "serviceaccounts", "multisig-hub"),
    ("", "serviceaccounts/token", "keeper"),
    ("", "serviceaccounts/token", "default"),
    ("", "serviceaccounts", "keeper"),
    ("rbac.authorization.k8s.io", "roles", ""),
    ("rbac.authorization.k8s.io", "roles", "multisig-hub"),
    ("rbac.authorization.k8s.io", "rolebindings", "multisig-hub"),
    ("rbac.authorization.k8s.io", "clusterroles", "multisig-hub:custody-keeper"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("networking.k8s.io", "networkpolicies", "multisig-member"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", ""),
    ("apps", "deployments", "keeper"),
    ("batch", "jobs", "keeper"),
    ("apps", "statefulsets/scale", "keeper"),
    ("", "namespaces", NAMESPACE),
    ("", "nodes", ""),
];

#[tokio::test]
async fn the_hub_may_do_what_is_listed_and_nothing_else() {
    let place = DataCentre::start().await;
    place.prepare(&place.plan(), &[]).await.json();
    let hub = place.hub().await;

    for (group, resource, name, allowed) in HUB {
        for verb in VERBS {
            let expected = allowed.contains(&verb);
            assert_eq!(may(&hub, verb, group, resource, NAMESPACE, name).await, expected, "{verb} {resource} {name}");
        }
        for verb in VERBS {
            assert!(!may(&hub, verb, group, resource, "default", name).await, "{verb} {resource} in another namespace");
        }
    }
    for (group, resource, name) in NEVER {
        for verb in VERBS {
            assert!(!may(&hub, verb, group, resource, NAMESPACE, name).await, "{verb} {resource} {name}");
        }
    }
    for verb in ["escalate", "bind", "impersonate", "approve"] {
        for resource in ["roles", "clusterroles"] {
            assert!(!may(&hub, verb, "rbac.authorization.k8s.io", resource, NAMESPACE, "").await, "{verb} {resource}");
        }
        assert!(!may(&hub, verb, "", "serviceaccounts", NAMESPACE, "keeper").await);
    }

    // The one thing outside: which cluster this is.
    let namespaces: Api<Namespace> = Api::all(hub.clone());
    assert_eq!(namespaces.get("kube-system").await.unwrap().metadata.uid.as_deref(), Some(place.cluster.uid()));
    assert!(!may(&hub, "get", "", "namespaces", "", "default").await);
    assert!(!may(&hub, "list", "", "namespaces", "", "").await);
}

fn stateful_set(name: &str) -> serde_json::Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": "a"}]}},
        },
    })
}

#[tokio::test]
async fn the_hub_creates_by_apply_under_the_fixed_name_only() {
    let place = DataCentre::start().await;
    place.prepare(&place.plan(), &[]).await.json();
    let hub = place.hub().await;
    let sets: Api<StatefulSet> = Api::namespaced(hub.clone(), NAMESPACE);
    let manager = PatchParams::apply("multisig-operator");
    let refused = |result: Result<(), kube::Error>, what: &str| match result {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        other => panic!("{what}: {other:?}"),
    };

    sets.patch("keeper", &manager, &Patch::Apply(stateful_set("keeper"))).await.unwrap();
    refused(sets.patch("other", &manager, &Patch::Apply(stateful_set("other"))).await.map(drop), "another name");
    let plain = serde_json::from_value(stateful_set("keeper")).unwrap();
    refused(sets.create(&PostParams::default(), &plain).await.map(drop), "a plain create");
    sets.delete("keeper", &DeleteParams::default()).await.unwrap();

    let maps: Api<ConfigMap> = Api::namespaced(hub.clone(), NAMESPACE);
    let data =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}});
    for name in ["keeper-config", "keeper-credentials"] {
        maps.patch(name, &manager, &Patch::Apply(data(name))).await.unwrap();
    }
    for name in ["multisig-trust", "keeper-report", "new"] {
        refused(maps.patch(name, &manager, &Patch::Apply(data(name))).await.map(drop), name);
    }
    let secrets: Api<Secret> = Api::namespaced(hub.clone(), NAMESPACE);
    refused(secrets.get("multisig-hub-binding").await.map(drop), "a Secret");
    refused(secrets.list(&Default::default()).await.map(drop), "all Secrets");
}

#[tokio::test]
async fn the_hub_renews_its_token_until_the_admin_deletes_what_it_is_bound_to() {
    let place = DataCentre::start().await;
    place.prepare(&place.plan(), &[]).await.json();
    let hub = place.hub().await;
    let secrets: Api<Secret> = Api::namespaced(place.cluster.client(), NAMESPACE);
    let binding = secrets.get("multisig-hub-binding").await.unwrap();
    assert!(binding.data.is_none(), "it holds nothing");

    let accounts: Api<ServiceAccount> = Api::namespaced(hub.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Secret".into()),
                name: Some("multisig-hub-binding".into()),
                uid: binding.metadata.uid,
            }),
            expiration_seconds: Some(3600),
        },
        ..Default::default()
    };
    let renewed = accounts.create_token_request("multisig-hub", &PostParams::default(), &request).await.unwrap();
    let renewed = place.cluster.client_for(&renewed.status.unwrap().token).await.unwrap();
    assert!(accounts.create_token_request("keeper", &PostParams::default(), &request).await.is_err());

    let reads = async |client: &Client| {
        Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE).get("multisig-trust").await.map(drop)
    };
    reads(&hub).await.unwrap();
    reads(&renewed).await.unwrap();
    secrets.delete("multisig-hub-binding", &DeleteParams::default()).await.unwrap();
    // The API server may know a token for some seconds more.
    for client in [&hub, &renewed] {
        let ended = async {
            while !matches!(reads(client).await, Err(kube::Error::Api(status)) if status.code == 401) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("the token ends with its object");
    }

    // The next run of prepare makes a new object and a new token.
    place.prepare(&place.plan(), &[]).await.json();
    reads(&place.hub().await).await.unwrap();
}

#[tokio::test]
async fn the_workload_reads_what_is_meant_for_it_and_writes_its_report() {
    let place = DataCentre::start().await;
    place.prepare(&place.plan(), &[]).await.json();
    let accounts: Api<ServiceAccount> = Api::namespaced(place.cluster.client(), NAMESPACE);
    let issued =
        accounts.create_token_request("keeper", &PostParams::default(), &TokenRequest::default()).await.unwrap();
    let keeper = place.cluster.client_for(&issued.status.unwrap().token).await.unwrap();
    for (name, allowed) in [
        ("multisig-trust", &["get"][..]),
        ("keeper-config", &["get"]),
        ("keeper-credentials", &["get"]),
        ("keeper-report", &["get", "patch"]),
        ("kube-root-ca.crt", &[]),
        ("", &[]),
    ] {
        for verb in VERBS {
            let expected = allowed.contains(&verb);
            assert_eq!(may(&keeper, verb, "", "configmaps", NAMESPACE, name).await, expected, "{verb} {name}");
        }
    }
    for (group, resource, name) in NEVER {
        for verb in VERBS {
            assert!(!may(&keeper, verb, group, resource, NAMESPACE, name).await, "{verb} {resource} {name}");
        }
    }
}
