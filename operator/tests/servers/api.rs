//! What the API server itself accepts and refuses, by the generated definitions.

use harness::cluster::Cluster;
use serde_json::{Value, json};

use crate::ground::{Ground, HUB, member_cluster, try_apply};

/// Applies a change to an object by JSON pointer; `null` removes.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(map), Value::Null) => drop(map.remove(key)),
        (Value::Object(map), value) => drop(map.insert(key.to_owned(), value)),
        (Value::Array(list), value) => list[key.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{other} has no members"),
    }
    object
}

/// A policy with a limit over time.
fn rolling(amount: &str, seconds: u64) -> Value {
    let limit = json!({"amount": amount, "windowSeconds": seconds});
    json!({"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": "1", "perWallet": limit, "total": limit}]})
}

/// Each change must be refused in words that hold the needle.
async fn refuses(hub: &Cluster, object: &Value, changes: &[(&str, Value, &str)]) {
    let mut wrong = Vec::new();
    for (pointer, value, needle) in changes {
        match try_apply(&hub.client(), HUB, with(object.clone(), pointer, value.clone())).await {
            Ok(()) => wrong.push(format!("{pointer} = {value} was accepted")),
            Err(error) if error.to_string().contains(needle) => {}
            Err(error) => wrong.push(format!("{pointer} = {value}: expected '{needle}', got: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_accept_what_is_right_and_say_what_is_wrong() {
    let ground = Ground::start().await;
    let (hub, cluster) = (&ground.hub, ground.cluster());
    let digest = "1".repeat(64);
    let accepted = [
        cluster.clone(),
        with(
            cluster.clone(),
            "/spec/app",
            json!({"type": "External", "external": {"natsUser": format!("U{}", "A".repeat(55))}}),
        ),
        with(
            cluster.clone(),
            "/spec/policy",
            json!({"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": "0"}]}),
        ),
        with(cluster.clone(), "/spec/policy", rolling("5", 31_622_400)),
        with(cluster.clone(), "/spec/separation", json!({"distinct": ["dataCenter", "provider"]})),
        with(cluster.clone(), "/spec/keeper/resources", json!({"requests": {"cpu": "250m", "memory": "64Mi"}})),
        with(cluster.clone(), "/spec/paused", json!(true)),
        with(cluster.clone(), "/spec/breachResponse", json!({"freeze": "Manual"})),
    ];
    for object in accepted {
        try_apply(&hub.client(), HUB, object.clone()).await.unwrap_or_else(|error| panic!("{error}: {object}"));
    }
    let refused = [
        ("/spec/profile", json!("Staging"), "Unsupported value"),
        ("/spec/custody/scheme", json!("ThreeOfFive"), "only TwoOfThree"),
        ("/spec/custody/id", json!("ff".repeat(16)), "custody.id is immutable"),
        ("/spec/custody/id", json!("nonsense"), "should match"),
        ("/spec/separation", json!({"distinct": ["provider"]}), "must contain dataCenter"),
        ("/spec/chains", json!([]), "Required value"),
        ("/spec/chains/0", json!({"name": "eth", "type": "EVM"}), "type EVM needs evm"),
        ("/spec/chains/0", json!({"name": "eth", "type": "Bitcoin"}), "Unsupported value"),
        ("/spec/chains/0/evm/chainID", json!(0), "greater than or equal to 1"),
        ("/spec/nats/urls", json!(["nats://plain:4222"]), "should match"),
        ("/spec/nats/account", json!({"type": "Managed"}), "type Managed needs managed"),
        ("/spec/keeper/image", json!("registry.example/keeper:latest"), "by digest"),
        ("/spec/cooler/image", json!(format!("r/cooler@sha256:{}", &digest[1..])), "by digest"),
        ("/spec/keeper/resources", json!({"limits": {"cpu": "lots"}}), "should match"),
        ("/spec/keeper/store", json!({"type": "PostgreSQL"}), "Unsupported value"),
        ("/spec/app", json!({"type": "External"}), "type External needs external"),
        ("/spec/app", json!({"type": "External", "external": {"natsUser": "SUAA"}}), "should match"),
        (
            "/spec/policy",
            json!({"limits": [{"chain": "btc", "asset": "BTC", "perTransaction": "1"}]}),
            "a chain that is not in chains",
        ),
        (
            "/spec/policy",
            json!({"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": "1.5"}]}),
            "should match",
        ),
        ("/spec/policy", json!({"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": "-1"}]}), "should match"),
        ("/spec/policy", rolling("1.5", 60), "should match"),
        ("/spec/policy", rolling("5", 0), "greater than or equal to 1"),
        ("/spec/policy", rolling("5", 31_622_401), "less than or equal to"),
        ("/spec/deletion", json!({"policy": "Delete"}), "Unsupported value"),
        ("/metadata/name", json!("n".repeat(64)), "at most 63"),
    ];
    refuses(hub, &cluster, &refused).await;

    let member = member_cluster("dc-a", "fra-1", hub.uid());
    try_apply(&hub.client(), HUB, member.clone()).await.unwrap();
    let refused = [
        ("/spec/namespace", json!("other"), "namespace is immutable"),
        ("/spec/dataCenter", json!("ams-2"), "dataCenter is immutable"),
        ("/spec/dataCenter", json!(" fra-1"), "should match"),
        ("/spec/clusterUID", json!("nonsense"), "should match"),
        ("/spec/clusterUID", Value::Null, "Required value"),
        ("/spec/guard", json!("Sometimes"), "Unsupported value"),
    ];
    refuses(hub, &member, &refused).await;
    try_apply(&hub.client(), HUB, with(member, "/spec/clusterUID", json!(ground.dc_a.uid()))).await.unwrap();

    // What is not given has its default.
    let stored = ground.clusters().get("main").await.unwrap();
    assert_eq!(stored.spec.separation.distinct, ["dataCenter"]);
    assert_eq!(ground.members().get("dc-a").await.unwrap().spec.kubeconfig_secret_ref.key, "value");

    // Short names, the category, and columns that tell the story.
    let header = |args: &[&str]| {
        let text = ground.kubectl(hub, args, b"");
        text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        header(&["get", "msc", "-n", HUB]),
        "NAME READY REASON SEPARATED PROFILE KEEPER KEEPER-STATE COOLER COOLER-STATE AGE"
    );
    assert_eq!(header(&["get", "member", "-n", HUB]), "NAME READY REASON DATACENTER USED-BY AS AGE");
    let both = ground.kubectl(hub, &["get", "multisig", "-n", HUB, "-o", "name"], b"");
    assert_eq!(both, "membercluster.multisig.dev/dc-a\nmultisigcluster.multisig.dev/main\n");
}
