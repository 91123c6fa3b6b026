//! Who may call, and what becomes of two callers with one idempotency key.

use serde_json::{Value, json};

use super::{
    api::problem,
    home::{AUDITOR_TOKEN, OTHER_TOKEN, SHOP},
    running::RunningApp,
    world::World,
};

async fn by(app: &RunningApp, token: Option<&str>, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = app.request_by(token, method, path).header("Idempotency-Key", "one");
    app.send(if method == "POST" { request.json(body) } else { request }).await
}

#[tokio::test]
async fn nobody_is_served_without_a_known_token_and_nobody_beyond_its_scopes() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let pay = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "7"});
    let all = [
        ("GET", "/wallets", "read"),
        ("GET", "/wallets/alice", "read"),
        ("GET", "/payments", "read"),
        ("GET", "/payments/bob", "read"),
        ("POST", "/wallets", "wallets"),
        ("POST", "/payments", "pay"),
    ];
    for (method, path, scope) in all.into_iter().chain([("GET", "/nothing", ""), ("DELETE", "/wallets", "")]) {
        problem(by(&app, None, method, path, &pay).await, 401, "CredentialsMissing");
        for wrong in ["", "multisig_app_nobody", &format!("{AUDITOR_TOKEN}x")] {
            problem(by(&app, Some(wrong), method, path, &pay).await, 401, "InvalidToken");
        }
        for (token, own) in [(AUDITOR_TOKEN, "read"), (OTHER_TOKEN, "pay")] {
            let (status, answer) = by(&app, Some(token), method, path, &pay).await;
            if scope.is_empty() || scope == own {
                assert!(![401, 403].contains(&status), "{method} {path} by {own}: {answer:#}");
            } else {
                assert!(answer["detail"].as_str().unwrap().contains(scope), "{answer:#}");
                problem((status, answer), 403, "MissingScope");
            }
        }
    }
    let challenge = async |token: Option<&str>, method| {
        let answer = app.request_by(token, method, "/payments").send().await.unwrap();
        answer.headers()["www-authenticate"].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge(None, "GET").await, "Bearer realm=\"app\"");
    assert_eq!(challenge(Some("x"), "GET").await, "Bearer realm=\"app\", error=\"invalid_token\"");
    let insufficient = "Bearer realm=\"app\", error=\"insufficient_scope\", scope=\"pay\"";
    assert_eq!(challenge(Some(AUDITOR_TOKEN), "POST").await, insufficient);
    let basic = app.request_by(None, "GET", "/wallets").basic_auth(AUDITOR_TOKEN, Some(AUDITOR_TOKEN));
    problem(app.send(basic).await, 401, "InvalidToken");
}

#[tokio::test]
async fn an_idempotency_key_is_its_callers_own_and_everybody_who_may_read_sees_what_came_of_it() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let before = world.balance(SHOP).await;
    let pay = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "7"});
    let mine = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let (status, theirs) = by(&app, Some(OTHER_TOKEN), "POST", "/payments", &pay).await;
    assert_eq!(status, 202, "{theirs:#}");
    let theirs = theirs["id"].as_str().unwrap().to_owned();
    assert_ne!(mine, theirs, "another caller's key is another payment");
    assert_eq!(app.pay("one", "alice", SHOP, "ETH", 7).await, mine);
    for id in [&mine, &theirs] {
        assert_eq!(app.ended(id).await["status"], "confirmed");
        let (status, seen) = by(&app, Some(AUDITOR_TOKEN), "GET", &format!("/payments/{id}"), &Value::Null).await;
        assert_eq!((status, &seen["id"]), (200, &json!(id)));
    }
    assert_eq!(world.balance(SHOP).await - before, 14);
}
