//! Payments.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chain::Effect;
use custody::Role;
use serde_json::{Value, json};

use super::{
    home::{ETH, SHOP},
    signers::Fault,
    world::World,
};

#[tokio::test]
async fn the_first_payment_deploys_the_wallet_and_both_signers_sign() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let first = app.paid("one", "alice", ETH / 2).await;
    assert_eq!(first["signers"], json!(["hot", "cool"]));
    assert_eq!((&first["reason"], &first["message"]), (&Value::Null, &Value::Null));
    let transaction: Value = world.anvil.rpc("eth_getTransactionByHash", json!([first["tx"]])).await.unwrap();
    assert_eq!(transaction["to"].as_str().unwrap().to_lowercase(), address.to_lowercase(), "execTransaction itself");
    app.paid("two", "alice", ETH / 4).await;
    assert_eq!(world.balance(SHOP).await, ETH / 2 + ETH / 4);
    assert_eq!(world.balance(&address).await, ETH / 4);
    let (_, wallet) = app.get("/wallets/alice").await;
    assert_eq!((&wallet["deployed"], &wallet["nonce"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn tokens_are_paid_too() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    world.anvil.fund_token(&world.token, &address, 100).await.unwrap();
    let paid = app.ended(&app.pay("one", "alice", SHOP, "USD", 60).await).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(world.anvil.token_balance(&world.token, SHOP).await.unwrap(), 60);
    let poor = app.ended(&app.pay("two", "alice", SHOP, "USD", 41).await).await;
    assert_eq!((&poor["status"], &poor["reason"]), (&json!("failed"), &json!("InsufficientBalance")));
}

#[tokio::test]
async fn one_idempotency_key_pays_once_however_often_and_at_once_it_is_used() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let key_with_blank = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "7"});
    assert_eq!(app.post("/payments", Some("the key"), key_with_blank).await.0, 400);
    let ask = || app.pay("the-key", "alice", SHOP, "ETH", 7);
    let ids = futures::future::join_all((0..20).map(|_| ask())).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(app.ended(&ids[0]).await["status"], "confirmed");
    assert_eq!(ask().await, ids[0]);
    assert_eq!(world.balance(SHOP).await, 7);

    let other = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "8"});
    let (status, problem) = app.post("/payments", Some("the-key"), other).await;
    assert_eq!((status, &problem["reason"]), (409, &json!("IdempotencyKeyReused")));
}

#[tokio::test]
async fn many_payments_of_many_wallets_are_each_made_once() {
    let world = World::new().await;
    let app = world.start().await;
    let alice = world.funded(&app, "alice").await;
    world.funded(&app, "bob").await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(app.pay(&format!("alice-{number}"), "alice", SHOP, "ETH", 1 << number).await);
        ids.push(app.pay(&format!("bob-{number}"), "bob", SHOP, "ETH", 16 << number).await);
    }
    for id in &ids {
        assert_eq!(app.ended(id).await["status"], "confirmed");
    }
    assert_eq!(world.balance(SHOP).await, 255);
    assert_eq!(world.nonce(&alice).await, 4);
}

#[tokio::test]
async fn what_a_signer_refuses_costs_nothing_and_the_next_payment_goes_through() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    for signer in [Role::Keeper, Role::Cooler] {
        world.signers.cap(signer, 100);
        let refused = app.ended(&app.pay(signer.as_str(), "alice", SHOP, "ETH", 101).await).await;
        assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverLimit")), "{refused:#}");
        assert!(refused["message"].as_str().unwrap().starts_with(signer.as_str()), "{refused:#}");
        world.signers.cap(signer, ETH);
    }
    app.paid("next", "alice", 100).await;
    // Only the payment itself used a nonce.
    assert_eq!(world.nonce(&address).await, 1);
}

#[tokio::test]
async fn a_payment_that_only_keeper_signed_is_ended_by_the_cancel() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let refuse = AtomicBool::new(true);
    world.signers.script(move |role, operation| match (role, operation) {
        (Role::Cooler, "sign") if refuse.swap(false, Ordering::Relaxed) => Fault::Refuse("OverWindow"),
        _ => Fault::None,
    });
    let refused = app.ended(&app.pay("one", "alice", SHOP, "ETH", 7).await).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")), "{refused:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 0));
    app.paid("two", "alice", 8).await;
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (2, 8));
}

#[tokio::test]
async fn a_cancel_that_is_refused_at_first_is_asked_for_until_it_is_signed() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    let mut asked = 0;
    world.signers.script(move |role, operation| {
        asked += u32::from((role, operation) == (Role::Cooler, "sign"));
        if (role, operation) == (Role::Cooler, "sign") && asked <= 3 {
            Fault::Refuse("OverWindow")
        } else {
            Fault::None
        }
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let waiting = app.until(&id, |payment| payment["message"].as_str().unwrap_or_default().contains("cancel")).await;
    assert_eq!((&waiting["status"], &waiting["reason"]), (&json!("checked"), &json!("OverWindow")), "{waiting:#}");
    assert_eq!(app.ended(&id).await["status"], "refused");
    app.paid("two", "alice", 8).await;
}

#[tokio::test]
async fn what_the_destination_does_not_take_fails_before_anything_is_signed() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let closed = "0x4444444444444444444444444444444444444444";
    world.set_code(closed, "0x5f5ffd").await;
    let failed = app.ended(&app.pay("one", "alice", closed, "ETH", 7).await).await;
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("SimulationReverted")), "{failed:#}");
    assert_eq!(failed["signers"], json!([]));
    app.paid("two", "alice", 8).await;
    assert_eq!(world.nonce(&address).await, 1);
}

#[tokio::test]
async fn a_signed_payment_that_would_revert_is_ended_by_the_cancel_and_can_never_land_later() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    // The money goes elsewhere between the two signatures.
    let hold = Arc::new(AtomicBool::new(true));
    let held = hold.clone();
    world.signers.script(move |role, operation| match (role, operation) {
        (Role::Cooler, "sign") if held.load(Ordering::Relaxed) => Fault::Lost,
        _ => Fault::None,
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["signers"] == json!(["hot"])).await;
    world.set_balance(&address, 0).await;
    hold.store(false, Ordering::Relaxed);
    let failed = app.ended(&id).await;
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("SimulationReverted")), "{failed:#}");
    assert_eq!(world.nonce(&address).await, 2);
    world.set_balance(&address, ETH).await;
    app.paid("two", "alice", 8).await;
    assert_eq!(world.balance(SHOP).await, 9);
}

#[tokio::test]
async fn a_nonce_at_which_something_unknown_is_signed_is_ended_before_the_payment_is_made() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let effect = Effect::Transfer { asset: "ETH".into(), to: SHOP.into(), amount: 1000.into() };
    world.signers.sign_behind_apps_back("alice", &effect, 0);
    app.paid("one", "alice", 7).await;
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (2, 7));
}

#[tokio::test]
async fn a_payment_overtaken_by_an_evacuation_is_cancelled() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    world.signers.script(|role, operation| match (role, operation) {
        (Role::Cooler, "sign") => Fault::Lost,
        _ => Fault::None,
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["signers"] == json!(["hot"])).await;
    world.evacuate("alice", ETH / 2, 1).await;
    let cancelled = app.ended(&id).await;
    assert_eq!((&cancelled["status"], &cancelled["reason"]), (&json!("cancelled"), &json!("NonceUsed")));
    world.signers.heal();
    app.paid("two", "alice", 8).await;
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (3, 9));
}

#[tokio::test]
async fn a_payment_that_somebody_else_sends_first_is_confirmed_with_his_transaction() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    world.automine(false).await;
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let (hash, call) = loop {
        let pool: Value = world.anvil.rpc("txpool_content", json!([])).await.unwrap();
        let pending = pool["pending"].as_object().and_then(|accounts| accounts.values().next().cloned());
        if let Some(transaction) = pending.and_then(|account| account.as_object()?.values().next().cloned()) {
            break (transaction["hash"].clone(), transaction);
        }
        tokio::task::yield_now().await;
    };
    app.kill().await;
    let _: Value = world.anvil.rpc("anvil_dropTransaction", json!([hash])).await.unwrap();
    world.automine(true).await;
    world.send(call["to"].as_str().unwrap().to_owned(), call["input"].as_str().unwrap().to_owned()).await;
    let app = world.start().await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_ne!(paid["tx"], hash);
    assert_eq!(world.balance(SHOP).await, 8);
    app.paid("two", "alice", 8).await;
}

#[tokio::test]
async fn trouble_is_shown_and_the_payment_goes_on_when_it_is_over() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    world.anvil.stop().await;
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let waiting = app.until(&id, |payment| payment["message"].is_string()).await;
    assert!(waiting["message"].as_str().unwrap().contains("away"), "{waiting:#}");
    world.signers.script(|_, _| Fault::Lost);
    world.anvil.start_again().await.unwrap();
    let waiting = app.until(&id, |payment| payment["message"].as_str().unwrap_or_default().contains("answer")).await;
    assert_eq!(waiting["status"], "accepted", "{waiting:#}");
    world.signers.heal();
    let paid = app.ended(&id).await;
    assert_eq!((&paid["status"], &paid["message"]), (&json!("confirmed"), &Value::Null), "{paid:#}");
}
