//! Where a cancel goes to.

use std::sync::atomic::{AtomicBool, Ordering};

use custody::Role;
use serde_json::{Value, json};

use super::{
    home::{OTHER_SAFE_PLACE, SAFE_PLACE, SHOP},
    running::RunningApp,
    signers::Fault,
    world::World,
};

/// Reverts whatever it is asked.
const REFUSES: &str = "0x60006000fd";

/// A payment that hot alone has signed: it needs the cancel.
async fn refused_by_cooler(world: &World, app: &RunningApp, key: &str) -> String {
    let refuse = AtomicBool::new(true);
    world.signers.script(move |role, operation| match (role, operation) {
        (Role::Cooler, "sign") if refuse.swap(false, Ordering::Relaxed) => Fault::Refuse("OverWindow"),
        _ => Fault::None,
    });
    app.pay(key, "alice", SHOP, "ETH", 7).await
}

#[tokio::test]
async fn a_cancel_goes_to_the_first_safe_destination_that_takes_an_empty_call() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    world.set_code(SAFE_PLACE, REFUSES).await;
    let id = refused_by_cooler(&world, &app, "one").await;
    let refused = app.ended(&id).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")), "{refused:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 0));

    world.set_code(OTHER_SAFE_PLACE, REFUSES).await;
    let id = refused_by_cooler(&world, &app, "two").await;
    let named = |payment: &Value| payment["message"].as_str().unwrap_or_default().contains("takes an empty call");
    let stuck = app.until(&id, named).await;
    assert!(stuck["message"].as_str().unwrap().contains(OTHER_SAFE_PLACE), "{stuck:#}");
    assert_eq!((&stuck["status"], world.nonce(&address).await), (&json!("checked"), 1), "{stuck:#}");

    world.set_code(SAFE_PLACE, "0x").await;
    world.mine().await;
    assert_eq!(app.ended(&id).await["status"], "refused");
    app.paid("three", "alice", 8).await;
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (3, 8));
}

#[tokio::test]
async fn a_cancel_whose_destination_changes_its_mind_is_signed_anew_to_another() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    // Keeper has signed the first cancel when its destination turns.
    let mut signs = 0;
    world.signers.script(move |role, operation| {
        signs += u32::from((role, operation) == (Role::Cooler, "sign"));
        match (role, operation, signs) {
            (Role::Cooler, "sign", 1) => Fault::Refuse("OverWindow"),
            (Role::Cooler, "sign", 2) => Fault::HangAfter,
            _ => Fault::None,
        }
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    world.signers.hung.notified().await;
    app.kill().await;
    world.set_code(SAFE_PLACE, REFUSES).await;
    world.signers.heal();
    let app = world.start().await;
    let refused = app.ended(&id).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")), "{refused:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (2, 1));
}

#[tokio::test]
async fn a_cancel_whose_block_vanishes_is_sent_again_before_the_payment_ends() {
    let world = World::new().await;
    let app = world.start_at_depth(3).await;
    let address = world.funded(&app, "alice").await;
    let id = refused_by_cooler(&world, &app, "one").await;
    let shown = app.until(&id, |payment| payment["depth"] == 0).await;
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("checked"), &json!("OverWindow")), "{shown:#}");
    world.roll_back(1).await;
    let changes = |payment: &Value| payment["history"].as_array().unwrap().len();
    app.until(&id, |payment| changes(payment) == changes(&shown) + 1).await;
    world.goes_on().await;
    app.until(&id, |payment| changes(payment) == changes(&shown) + 2).await;
    for _ in 0..3 {
        world.mine().await;
    }
    let refused = app.ended(&id).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")), "{refused:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 0));
}
