//! What the API refuses, and how.

use serde_json::{Value, json};

use super::{
    home::{CHAIN, SHOP},
    world::World,
};

/// Refusals are problems (RFC 9457) with a stable type and reason, and say what to do.
#[track_caller]
pub(super) fn problem(answer: (u16, Value), status: u16, reason: &str) {
    let (found, body) = answer;
    assert_eq!((found, body["reason"].as_str()), (status, Some(reason)), "{body:#}");
    assert_eq!(body["status"], status, "{body:#}");
    let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:multisig:problem:"));
    assert!(kind.is_some_and(|kind| kind.replace('-', "") == reason.to_lowercase()), "{body:#}");
    for member in ["title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{body:#}");
    }
}

#[tokio::test]
async fn bad_requests_get_one_clear_answer_and_store_nothing() {
    let world = World::new().await;
    let app = world.start().await;
    let alice = world.funded(&app, "alice").await;

    for id in ["", "Alice", "-a", "a/b", &"a".repeat(65)] {
        problem(app.post("/wallets", None, json!({"id": id})).await, 422, "InvalidWalletId");
    }
    for body in [json!({}), json!({"id": 1}), json!({"id": "bob", "owner": "me"}), json!([]), json!(null)] {
        problem(app.post("/wallets", None, body).await, 400, "MalformedBody");
    }
    let post = |body: String| app.request("POST", "/wallets").header("Content-Type", "application/json").body(body);
    problem(app.send(post("{".into())).await, 400, "MalformedBody");
    problem(app.send(post(" ".repeat(20_000))).await, 413, "UnreadableBody");
    problem(app.send(app.request("POST", "/wallets").body("{}")).await, 415, "UnsupportedMediaType");
    problem(app.get("/wallets/%ff").await, 400, "MalformedPath");
    let answer = app.request("GET", "/nothing").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({
            "type": "urn:multisig:problem:unknown-path", "title": "Unknown path", "status": 404,
            "detail": "there is no such path", "reason": "UnknownPath",
        })
    );
    problem(app.get("/wallets/bob").await, 404, "UnknownWallet");
    problem(app.get("/payments/bob").await, 404, "UnknownPayment");
    problem(app.get("/nothing").await, 404, "UnknownPath");
    problem(app.send(app.request("DELETE", "/wallets/alice")).await, 405, "MethodNotAllowed");

    let good = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "1"});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let pay = async |body: Value| app.post("/payments", Some("key"), body).await;
    for amount in ["", "-1", "1.5", "0x1", "01", "1e3", "0", &"9".repeat(79)] {
        problem(pay(with("amount", json!(amount))).await, 422, "InvalidAmount");
    }
    problem(pay(with("amount", json!(1))).await, 400, "MalformedBody");
    problem(pay(with("note", json!("x"))).await, 400, "MalformedBody");
    for to in ["", "0x12", "fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", &SHOP.replace("fB", "FB")] {
        problem(pay(with("to", json!(to))).await, 422, "InvalidDestination");
    }
    problem(pay(with("to", json!(alice))).await, 422, "SelfCall");
    problem(pay(with("to", json!(world.token))).await, 422, "AssetContract");
    problem(pay(with("to", json!(format!("0x{}", "0".repeat(40))))).await, 422, "ZeroAddress");
    problem(pay(with("asset", json!("DOGE"))).await, 422, "UnknownAsset");
    problem(pay(with("wallet", json!("bob"))).await, 404, "UnknownWallet");
    problem(app.post("/payments", None, good.clone()).await, 400, "InvalidIdempotencyKey");
    for key in ["", "a b", &"k".repeat(129)] {
        problem(app.post("/payments", Some(key), good.clone()).await, 400, "InvalidIdempotencyKey");
    }
    assert!(app.text("/metrics").await.contains("app_payments{status=\"accepted\"} 0"));
}

#[tokio::test]
async fn app_says_that_it_lives_and_what_it_waits_for() {
    let world = World::new().await;
    let app = world.start().await;
    assert_eq!(app.text("/livez").await, "ok\n");
    let (status, readiness) = app.send(app.probe("/readyz")).await;
    assert_eq!((status, &readiness["state"]), (503, &json!("AwaitingCredentials")));
    assert!(app.text("/metrics").await.contains("app_serving 0"));
    // On the API's own port there is none of it.
    for path in ["/livez", "/readyz", "/metrics"] {
        problem(app.get(path).await, 404, "UnknownPath");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_the_reason() {
    let world = World::new().await;
    let refused = |expected: &str, change: &dyn Fn(&mut Value)| {
        let Err(error) = world.settings(change) else { panic!("accepted: {expected}") };
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    };
    refused("unknown field `relayerKey`", &|config| config["relayerKey"] = json!("00"));
    refused("missing field `chain`", &|config| drop(config.as_object_mut().unwrap().remove("chain")));
    refused("missing field `callersFile`", &|config| drop(config.as_object_mut().unwrap().remove("callersFile")));
    let callers = |text: &str| {
        let file = world.home.path("other-callers");
        std::fs::write(&file, text).unwrap();
        json!(file)
    };
    refused("names nobody", &|config| config["callersFile"] = callers("# shop pay\n"));
    refused("line 1: ", &|config| config["callersFile"] = callers("shop pay"));
    refused("tls.clientCaFile", &|config| config["callersFile"] = callers("shop pay certificate:shop.example"));
    refused("app token", &|config| config["callersFile"] = json!("no.such.file"));
    let tls = |certificate: &str| json!({"certificateFile": world.home.path(certificate), "keyFile": "no.such.key"});
    refused("manifest.json", &|config| config["tls"] = tls("manifest.json"));
    refused("clientKeys", &|config| config["clientKeyz"] = json!(true));
    refused("approved", &|config| config["manifestDigest"] = json!("00".repeat(32)));
    refused("custody", &|config| config["custodyId"] = json!("00".repeat(16)));
    refused("manifest.jsn", &|config| config["manifestFile"] = json!("manifest.jsn"));
    refused("nats.urls", &|config| config["nats"]["urls"] = json!([]));
    refused("tls://", &|config| config["nats"]["urls"] = json!(["nats://127.0.0.1:4222"]));
    refused("no adapter", &|config| config["chain"]["id"] = json!("solana:1"));
    refused("safe destination", &|config| config["chain"]["id"] = json!(format!("eip155:{}", CHAIN + 1)));
    refused("chain.nodes", &|config| config["chain"]["nodes"] = json!(["127.0.0.1:8545"]));
    refused("chain.nodes is empty", &|config| config["chain"]["nodes"] = json!([]));
    refused("chain.agree is 2; expected 1 to 1, the number of nodes", &|config| config["chain"]["agree"] = json!(2));
    refused("neither 'native'", &|config| config["chain"]["assets"][1]["asset"] = json!("0x12"));
    refused("listed twice", &|config| config["chain"]["assets"][1]["symbol"] = json!("ETH"));
    refused("signers.keeper", &|config| config["signers"]["keeper"] = json!([]));
    refused("listed twice", &|config| config["signers"]["cooler"] = config["signers"]["keeper"].clone());
}
