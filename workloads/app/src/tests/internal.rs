//! Payments to another wallet of the custody.

use custody::Role;
use serde_json::{Value, json};

use super::{
    api::problem,
    home::{ETH, SHOP},
    running::RunningApp,
    world::World,
};

async fn ask(app: &RunningApp, key: &str, change: Value) -> (u16, Value) {
    let mut body = json!({"wallet": "alice", "asset": "ETH", "amount": "7"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    app.post("/payments", Some(key), body).await
}

#[tokio::test]
async fn a_wallet_is_paid_by_its_name_and_the_signers_are_told_which_one_it_is() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let bob = world.funded(&app, "bob").await;
    let (status, accepted) = ask(&app, "one", json!({"toWallet": "bob"})).await;
    assert_eq!(status, 202, "{accepted:#}");
    let paid = app.ended(accepted["id"].as_str().unwrap()).await;
    assert_eq!((&paid["status"], &paid["toWallet"], &paid["to"]), (&json!("confirmed"), &json!("bob"), &json!(bob)));
    assert_eq!(world.balance(&bob).await, ETH + 7);
    for signer in [Role::Keeper, Role::Cooler] {
        for operation in ["check", "sign"] {
            let asked = world.signers.asked(signer, operation);
            assert!(
                !asked.is_empty() && asked.iter().all(|payment| payment.to_wallet == "bob"),
                "{signer} {operation}"
            );
        }
    }
    // The same again is the same payment; the address in the place of the name is another order.
    assert_eq!(ask(&app, "one", json!({"toWallet": "bob"})).await.1["id"], accepted["id"]);
    problem(ask(&app, "one", json!({"to": bob})).await, 409, "IdempotencyKeyReused");

    for neither in [json!({}), json!({"to": SHOP, "toWallet": "bob"}), json!({"to": null})] {
        problem(ask(&app, "two", neither).await, 422, "InvalidDestination");
    }
    for unknown in ["carol", "", "../bob"] {
        problem(ask(&app, "two", json!({"toWallet": unknown})).await, 404, "UnknownWallet");
    }
    problem(ask(&app, "two", json!({"toWallet": "alice"})).await, 422, "SelfCall");
}
