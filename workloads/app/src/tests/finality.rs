//! What a block decides is final when the block is, and not before.

use harness::rpc_proxy::{Fault as NodeFault, RpcProxy, Rule};
use serde_json::{Value, json};

use super::{
    home::{ETH, SHOP},
    running::RunningApp,
    signers::Fault,
    world::World,
};

/// The names of the statuses that a payment went through.
fn statuses(payment: &Value) -> Vec<&str> {
    payment["history"].as_array().unwrap().iter().map(|change| change["status"].as_str().unwrap()).collect()
}

async fn included(app: &RunningApp, key: &str, amount: u128) -> String {
    let id = app.pay(key, "alice", SHOP, "ETH", amount).await;
    app.reaches(&id, "included").await;
    id
}

async fn mined(world: &World, blocks: u64) {
    for _ in 0..blocks {
        world.mine().await;
    }
}

#[tokio::test]
async fn a_payment_is_confirmed_when_so_many_blocks_follow_and_the_next_does_not_wait_for_that() {
    let world = World::new().await;
    let app = world.start_at_depth(4).await;
    world.funded(&app, "alice").await;
    let first = included(&app, "one", 7).await;
    let (_, shown) = app.get(&format!("/payments/{first}")).await;
    assert_eq!((&shown["depth"], &shown["reason"]), (&json!(0), &Value::Null), "{shown:#}");
    assert_eq!(statuses(&shown), ["accepted", "checked", "signed", "broadcast", "included"]);
    let last = &shown["history"][4];
    assert_eq!((&last["tx"], &last["block"]), (&shown["tx"], &json!(world.block_number().await)));
    let second = included(&app, "two", 8).await;
    mined(&world, 2).await;
    let shown = app.until(&first, |payment| payment["depth"] == 3).await;
    assert_eq!(shown["status"], "included", "{shown:#}");
    mined(&world, 1).await;
    let shown = app.ended(&first).await;
    assert_eq!((&shown["status"], &shown["depth"]), (&json!("confirmed"), &Value::Null));
    assert_eq!(statuses(&shown)[4..], ["included", "confirmed"]);
    assert!(shown["createdAt"].is_string() && shown["updatedAt"] == shown["history"][5]["at"], "{shown:#}");
    assert_eq!(app.until(&second, |payment| payment["depth"] == 3).await["status"], "included");
    assert!(app.text("/metrics").await.contains("app_payments{status=\"included\"} 1"));
    mined(&world, 1).await;
    assert_eq!(app.ended(&second).await["status"], "confirmed");
    assert_eq!(world.balance(SHOP).await, 15);
}

#[tokio::test]
async fn payments_whose_blocks_vanish_are_sent_again_and_paid_once_also_after_a_restart() {
    let world = World::new().await;
    let mut app = world.start_at_depth(6).await;
    let address = world.funded(&app, "alice").await;
    let deployed = included(&app, "deployed", 1).await;
    mined(&world, 6).await;
    assert_eq!(app.ended(&deployed).await["status"], "confirmed");
    let mut paid = 1;
    for restarted in [false, true] {
        // The payments take place earlier the second time than the block at which their nonces were read.
        mined(&world, 2).await;
        let mut ids = Vec::new();
        for number in 1..=2 {
            ids.push(included(&app, &format!("{restarted}-{number}"), 16).await);
        }
        if restarted {
            app.kill().await;
            world.roll_back(4).await;
            app = world.start_at_depth(6).await;
        } else {
            world.roll_back(4).await;
        }
        // A third one, asked for meanwhile, takes nobody's nonce.
        ids.push(app.pay(&format!("{restarted}-3"), "alice", SHOP, "ETH", 16).await);
        for id in &ids[..2] {
            app.until(id, |payment| statuses(payment)[4..] == ["included", "broadcast"]).await;
        }
        world.goes_on().await;
        for id in &ids[..2] {
            app.until(id, |payment| statuses(payment)[4..] == ["included", "broadcast", "included"]).await;
        }
        app.reaches(&ids[2], "included").await;
        mined(&world, 6).await;
        for id in &ids {
            let shown = app.ended(id).await;
            assert_eq!(shown["status"], "confirmed", "{shown:#}");
            let receipt: Value = world.anvil.rpc("eth_getTransactionReceipt", json!([shown["tx"]])).await.unwrap();
            assert_eq!(receipt["status"], "0x1", "the transaction that is told is in the chain");
        }
        paid += 3 * 16;
        assert_eq!(world.balance(SHOP).await, paid, "each once");
    }
    assert_eq!(world.nonce(&address).await, 7);
}

#[tokio::test]
async fn a_first_payment_whose_wallet_vanishes_with_it_is_made_with_its_wallet_again() {
    let world = World::new().await;
    let app = world.start_at_depth(4).await;
    let address = world.funded(&app, "alice").await;
    let id = included(&app, "one", 7).await;
    world.roll_back(2).await;
    assert_eq!(world.balance(SHOP).await, 0);
    app.until(&id, |payment| statuses(payment)[4..] == ["included", "broadcast"]).await;
    world.goes_on().await;
    app.until(&id, |payment| statuses(payment)[4..] == ["included", "broadcast", "included"]).await;
    mined(&world, 4).await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 7));
}

#[tokio::test]
async fn a_signed_payment_whose_money_is_gone_is_ended_only_when_the_block_that_lacks_it_stays() {
    let world = World::new().await;
    let app = world.start_at_depth(3).await;
    let address = world.funded(&app, "alice").await;
    included(&app, "deployed", 1).await;
    for (key, comes_back) in [("comes-back", true), ("is-gone", false)] {
        world.signers.script(|role, operation| match (role, operation) {
            (custody::Role::Cooler, "sign") => Fault::Lost,
            _ => Fault::None,
        });
        let id = app.pay(key, "alice", SHOP, "ETH", 7).await;
        app.until(&id, |payment| payment["signers"] == json!(["hot"])).await;
        world.set_balance(&address, 0).await;
        world.signers.heal();
        let would_revert = |payment: &Value| payment["message"].as_str().unwrap_or_default().contains("would revert");
        assert_eq!(app.until(&id, would_revert).await["status"], "broadcast");
        if comes_back {
            world.set_balance(&address, ETH).await;
            mined(&world, 1).await;
            app.reaches(&id, "included").await;
            continue;
        }
        mined(&world, 3).await;
        let ending = app.until(&id, |payment| payment["depth"] == 0).await;
        assert_eq!((&ending["status"], &ending["reason"]), (&json!("broadcast"), &json!("SimulationReverted")));
        mined(&world, 3).await;
        assert_eq!(app.ended(&id).await["status"], "failed");
    }
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (3, 8));
}

#[tokio::test]
async fn an_evacuation_whose_block_vanishes_cancels_nothing() {
    let world = World::new().await;
    let app = world.start_at_depth(3).await;
    world.funded(&app, "alice").await;
    let deployed = included(&app, "deployed", 1).await;
    mined(&world, 3).await;
    app.ended(&deployed).await;
    let lose_coolers_signature = || {
        world.signers.script(|role, operation| match (role, operation) {
            (custody::Role::Cooler, "sign") => Fault::Lost,
            _ => Fault::None,
        });
    };
    lose_coolers_signature();
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["signers"] == json!(["hot"])).await;
    world.evacuate("alice", ETH / 2, 1).await;
    let shown = app.until(&id, |payment| payment["reason"] == "NonceUsed").await;
    assert_eq!((&shown["status"], &shown["depth"], &shown["tx"]), (&json!("checked"), &json!(0), &Value::Null));
    world.roll_back(1).await;
    app.until(&id, |payment| payment["reason"].is_null()).await;
    world.goes_on().await;
    world.signers.heal();
    app.reaches(&id, "included").await;
    mined(&world, 3).await;
    assert_eq!(app.ended(&id).await["status"], "confirmed");

    lose_coolers_signature();
    let id = app.pay("two", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["signers"] == json!(["hot"])).await;
    world.evacuate("alice", ETH / 2, 2).await;
    app.until(&id, |payment| payment["reason"] == "NonceUsed").await;
    mined(&world, 3).await;
    let cancelled = app.ended(&id).await;
    assert_eq!((&cancelled["status"], &cancelled["reason"]), (&json!("cancelled"), &json!("NonceUsed")));
    assert_eq!(world.balance(SHOP).await, 8);
}

/// A wallet's second payment has landed while App was down, behind a node that hides its newest events so many times;
/// App again, and the payment.
async fn landed_behind_a_node_that_hides_it(times: u64) -> (World, RpcProxy, RunningApp, String) {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.anvil.url()).await.unwrap();
    let app = world.start_behind(&proxy, 0).await;
    world.funded(&app, "alice").await;
    // The state that the second payment begins with is of the block in which the first took place.
    app.paid("one", "alice", 1).await;
    world.automine(false).await;
    let id = app.pay("two", "alice", SHOP, "ETH", 7).await;
    let sent = async || -> Value { world.anvil.rpc("txpool_status", json!([])).await.unwrap() };
    while sent().await["pending"] != "0x1" {
        tokio::task::yield_now().await;
    }
    app.kill().await;
    world.mine().await;
    let newest = json!(format!("{:#x}", world.block_number().await));
    proxy.rule(Rule::on("eth_getLogs").times(times).does(NodeFault::alter(move |_, logs| {
        logs.as_array_mut().unwrap().retain(|log| log["blockNumber"] != newest);
    })));
    let app = world.start_behind(&proxy, 0).await;
    (world, proxy, app, id)
}

#[tokio::test]
async fn a_payment_that_landed_is_never_told_cancelled_by_a_node_that_catches_up_between_two_questions() {
    let (world, _proxy, app, id) = landed_behind_a_node_that_hides_it(1).await;
    let waits = |payment: &Value| payment["message"].as_str().unwrap_or_default().contains("to say by what");
    let shown = app.until(&id, |payment| payment["status"] != "broadcast" || waits(payment)).await;
    assert_ne!(shown["status"], "cancelled", "{shown:#}");
    world.mine().await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(world.balance(SHOP).await, 8);
}

#[tokio::test]
async fn a_payment_that_landed_is_never_told_cancelled_by_a_node_that_hides_its_newest_events() {
    let (world, proxy, app, id) = landed_behind_a_node_that_hides_it(u64::MAX).await;
    let waits = |payment: &Value| payment["message"].as_str().unwrap_or_default().contains("to say by what");
    let shown = app.until(&id, |payment| payment["status"] != "broadcast" || waits(payment)).await;
    assert_eq!(shown["status"], "broadcast", "{shown:#}");
    proxy.clear();
    world.mine().await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(world.balance(SHOP).await, 8);
}

#[tokio::test]
async fn money_that_a_node_does_not_show_yet_is_waited_for() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.anvil.url()).await.unwrap();
    let app = world.start_behind(&proxy, 2).await;
    let _: Value = world.anvil.rpc("anvil_mine", json!(["0x64"])).await.unwrap();
    world.funded(&app, "alice").await;
    proxy.behind(Some(100));
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let shown = app.until(&id, |payment| payment["message"].is_string()).await;
    assert_eq!(shown["status"], "accepted", "{shown:#}");
    proxy.behind(None);
    app.reaches(&id, "included").await;
    mined(&world, 2).await;
    assert_eq!(app.ended(&id).await["status"], "confirmed");
}

#[tokio::test]
async fn a_payment_that_lacks_the_money_is_in_nobodys_way_and_fails_when_the_block_that_lacks_it_stays() {
    let world = World::new().await;
    let app = world.start_at_depth(4).await;
    let address = world.funded(&app, "alice").await;
    let lacks = |payment: &Value| payment["reason"] == "InsufficientBalance";
    let arrives = app.pay("arrives", "alice", SHOP, "ETH", 2 * ETH).await;
    assert_eq!(app.until(&arrives, lacks).await["status"], "accepted");
    world.anvil.fund(&address, 2 * ETH).await.unwrap();
    app.reaches(&arrives, "included").await;

    let poor = app.pay("poor", "alice", SHOP, "ETH", 2 * ETH).await;
    assert_eq!(app.until(&poor, lacks).await["status"], "accepted");
    included(&app, "small", 7).await;
    assert_eq!(app.get(&format!("/payments/{poor}")).await.1["status"], "accepted");
    mined(&world, 4).await;
    let failed = app.ended(&poor).await;
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("InsufficientBalance")), "{failed:#}");
    assert_eq!(failed["signers"], json!([]));
    assert_eq!(world.balance(SHOP).await, 2 * ETH + 7);
}
