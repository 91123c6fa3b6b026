//! Intents of somebody else, handed on as they came.

use std::sync::atomic::{AtomicBool, Ordering};

use custody::Role;
use protocol::ops::Attestation;
use serde_json::{Value, json};

use super::{home::SHOP, running::RunningApp, signers::Fault, world::World};

fn intent() -> Value {
    json!({"body": "0A10", "signer": "01".repeat(32), "signature": "02".repeat(64)})
}

fn attestation() -> Attestation {
    Attestation { body: vec![0x0a, 0x10], signer: vec![1; 32], signature: vec![2; 64] }
}

async fn ask(app: &RunningApp, key: &str, intent: Value) -> (u16, Value) {
    let body = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "7", "intent": intent});
    app.post("/payments", Some(key), body).await
}

#[tokio::test]
async fn both_signers_are_shown_the_intent_with_every_question_and_never_with_the_cancel() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    world.signers.lock(Role::Keeper, 0);
    let signers = world.signers.clone();
    let refuse = AtomicBool::new(true);
    world.signers.script(move |role, operation| match (role, operation) {
        (Role::Cooler, "announce") => {
            signers.unlock(Role::Keeper);
            Fault::None
        }
        (Role::Cooler, "sign") if refuse.swap(false, Ordering::Relaxed) => Fault::Refuse("IntentUsed"),
        _ => Fault::None,
    });
    let (status, accepted) = ask(&app, "one", intent()).await;
    assert_eq!(status, 202, "{accepted:#}");
    let refused = app.ended(accepted["id"].as_str().unwrap()).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("IntentUsed")), "{refused:#}");
    assert_eq!(world.nonce(&address).await, 1, "the cancel");
    for signer in [Role::Keeper, Role::Cooler] {
        for operation in ["check", "announce"] {
            let asked = world.signers.asked(signer, operation);
            assert!(
                !asked.is_empty() && asked.iter().all(|payment| payment.intent == Some(attestation())),
                "{asked:?}"
            );
        }
        let shown: Vec<_> = world.signers.asked(signer, "sign").into_iter().map(|payment| payment.intent).collect();
        assert_eq!(shown, [Some(attestation()), None], "{signer}");
    }
}

#[tokio::test]
async fn an_intent_belongs_to_its_idempotency_key() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let (_, first) = ask(&app, "one", intent()).await;
    assert_eq!(ask(&app, "one", intent()).await.1["id"], first["id"]);
    let mut other = intent();
    other["body"] = json!("0a11");
    for other in [other, Value::Null] {
        let (status, problem) = ask(&app, "one", other).await;
        assert_eq!((status, &problem["reason"]), (409, &json!("IdempotencyKeyReused")));
    }
}

#[tokio::test]
async fn what_has_not_the_shape_of_an_intent_is_refused() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    for (field, value) in [
        ("body", json!("")),
        ("body", json!("0")),
        ("body", json!("0x0a")),
        ("signer", json!("01".repeat(31))),
        ("signer", json!("")),
        ("signature", json!("02".repeat(65))),
        ("signature", json!("zz".repeat(64))),
    ] {
        let mut wrong = intent();
        wrong[field] = value;
        let (status, problem) = ask(&app, "one", wrong).await;
        assert_eq!((status, &problem["reason"]), (422, &json!("InvalidIntent")), "{field}");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{problem:#}");
    }
    for wrong in [json!("0a"), json!({}), json!({"body": "0a", "signer": "", "signature": "", "id": ""})] {
        assert_eq!(ask(&app, "one", wrong).await.0, 400);
    }
}
