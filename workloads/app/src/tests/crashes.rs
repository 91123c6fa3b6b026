//! App killed at every step: nothing is paid twice, nothing is lost.

use custody::Role;
use serde_json::json;

use super::{
    home::{ETH, SHOP},
    signers::Fault,
    world::World,
};

/// App dies while it waits for its n-th answer, for each n, once with the request lost and once with the answer lost.
#[tokio::test]
async fn killed_while_it_asks_a_signer_it_pays_once() {
    let world = World::new().await;
    let mut expected = 0;
    for fault in [Fault::Hang, Fault::HangAfter] {
        for n in 1..=4 {
            let wallet = format!("user-{n}-{}", fault == Fault::Hang);
            let app = world.start().await;
            let address = world.funded(&app, &wallet).await;
            let mut asked = 0;
            world.signers.script(move |_, _| {
                asked += 1;
                if asked == n { fault } else { Fault::None }
            });
            let id = app.pay(&wallet, &wallet, SHOP, "ETH", 7).await;
            world.signers.hung.notified().await;
            app.kill().await;

            world.signers.heal();
            let app = world.start().await;
            assert_eq!(app.ended(&id).await["status"], "confirmed", "{fault:?} at {n}");
            assert_eq!(app.pay(&wallet, &wallet, SHOP, "ETH", 7).await, id);
            expected += 7;
            assert_eq!((world.balance(SHOP).await, world.nonce(&address).await), (expected, 1), "{fault:?} at {n}");
            for signer in [Role::Keeper, Role::Cooler] {
                assert_eq!(world.signers.payments_signed(signer, &wallet, 0), 1, "{fault:?} at {n}: {signer}");
            }
            app.kill().await;
        }
    }
}

#[tokio::test]
async fn killed_while_it_makes_a_wallet_it_makes_the_same_one() {
    let world = World::new().await;
    for fault in [Fault::Hang, Fault::HangAfter] {
        for n in 1..=3 {
            let wallet = format!("user-{n}-{}", fault == Fault::Hang);
            let app = world.start().await;
            let mut asked = 0;
            world.signers.script(move |_, _| {
                asked += 1;
                if asked == n { fault } else { Fault::None }
            });
            let request = app.request("POST", "/wallets").json(&json!({"id": wallet}));
            let asked = tokio::spawn(request.send());
            world.signers.hung.notified().await;
            app.kill().await;
            assert!(asked.await.unwrap().is_err());

            world.signers.heal();
            let app = world.start().await;
            assert_eq!(app.get(&format!("/wallets/{wallet}")).await.0, 404);
            let (status, made) = app.post("/wallets", None, json!({"id": wallet})).await;
            assert_eq!((status, &made["address"]), (201, &json!(world.signers.wallet(&wallet).address)));
            app.kill().await;
        }
    }
}

#[tokio::test]
async fn killed_after_it_sent_a_transaction_it_follows_that_one_and_sends_no_other() {
    let world = World::new().await;
    let relayer = world.anvil.dev_accounts().unwrap()[1].address.clone();
    let sent =
        async || -> String { world.anvil.rpc("eth_getTransactionCount", json!([relayer, "pending"])).await.unwrap() };
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    world.automine(false).await;
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    app.until(&id, |payment| payment["status"] == "broadcast").await;
    while sent().await != "0x3" {
        tokio::task::yield_now().await;
    }
    app.kill().await;

    let app = world.start().await;
    app.until(&id, |payment| payment["status"] == "broadcast").await;
    world.mine().await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(sent().await, "0x3", "deployment and two payments");
    assert_eq!(world.balance(SHOP).await, 8);
}

#[tokio::test]
async fn killed_while_a_nonce_is_being_ended_it_ends_it() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let mut signs = 0;
    world.signers.script(move |role, operation| {
        signs += u32::from(operation == "sign");
        match (role, operation, signs) {
            (Role::Cooler, "sign", 2) => Fault::Refuse("OverWindow"),
            (Role::Cooler, "sign", _) => Fault::HangAfter,
            _ => Fault::None,
        }
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    world.signers.hung.notified().await;
    app.kill().await;

    world.signers.heal();
    let app = world.start().await;
    let refused = app.ended(&id).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("OverWindow")));
    assert_eq!(world.nonce(&address).await, 1);
    app.paid("two", "alice", ETH / 2).await;
}
