//! Wallets.

use custody::Role;
use serde_json::json;

use super::{
    home::{CHAIN, ETH},
    signers::{Fault, TestSigners},
    world::World,
};

#[tokio::test]
async fn a_wallet_is_given_out_with_its_owners_and_both_attestations_and_is_the_same_ever_after() {
    let world = World::new().await;
    let app = world.start().await;
    let (status, wallet) = app.post("/wallets", None, json!({"id": "alice"})).await;
    assert_eq!(status, 201, "{wallet:#}");
    let desc = world.signers.wallet("alice");
    let [hot, cool, cold] = desc.owner_addresses;
    assert_eq!(wallet["address"], desc.address);
    assert_eq!(wallet["owners"], json!({"hot": hot, "cool": cool, "cold": cold}));
    assert_eq!((&wallet["chain"], &wallet["threshold"]), (&json!(format!("eip155:{CHAIN}")), &json!(2)));
    for signer in [Role::Keeper, Role::Cooler] {
        let attestation = wallet["attestations"][signer.as_str()].as_str().unwrap();
        let key = data_encoding::HEXLOWER.encode(TestSigners::message_key(signer).verifying_key().as_bytes());
        assert!(attestation.contains(&key), "{signer}: {attestation}");
    }
    assert_eq!(app.post("/wallets", None, json!({"id": "alice"})).await, (201, wallet.clone()));
    app.kill().await;
    let app = world.start().await;
    let (status, shown) = app.get("/wallets/alice").await;
    assert_eq!((status, &shown["address"]), (200, &wallet["address"]));
}

#[tokio::test]
async fn a_deposit_is_seen_before_the_contract_is_there() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    world.anvil.fund_token(&world.token, &address, 42).await.unwrap();
    let (_, wallet) = app.get("/wallets/alice").await;
    assert_eq!(wallet["balance"], ETH.to_string());
    assert_eq!(wallet["balances"], json!({"ETH": ETH.to_string(), "USD": "42"}));
    assert_eq!((&wallet["deployed"], &wallet["nonce"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn an_address_is_shown_also_while_the_node_is_away() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    world.anvil.stop().await;
    let (status, wallet) = app.get("/wallets/alice").await;
    assert_eq!((status, &wallet["address"]), (200, &json!(address)));
    assert!(wallet["balance"].is_null() && wallet["message"].as_str().unwrap().contains("away"), "{wallet:#}");
}

#[tokio::test]
async fn no_address_leaves_before_both_signers_hold_the_wallet() {
    let world = World::new().await;
    let app = world.start().await;
    for lost in [(Role::Keeper, "create"), (Role::Keeper, "register"), (Role::Cooler, "register")] {
        for fault in [Fault::Lost, Fault::AnswerLost] {
            world.signers.script(move |role, operation| if (role, operation) == lost { fault } else { Fault::None });
            let (status, problem) = app.post("/wallets", None, json!({"id": "alice"})).await;
            assert_eq!((status, &problem["reason"]), (503, &json!("NotYet")), "{problem:#}");
            assert_eq!(app.get("/wallets/alice").await.0, 404);
        }
    }
    world.signers.heal();
    assert_eq!(app.post("/wallets", None, json!({"id": "alice"})).await.0, 201);
}

#[tokio::test]
async fn a_refused_wallet_may_be_asked_for_again_when_the_cause_is_gone() {
    let world = World::new().await;
    let app = world.start().await;
    world.signers.script(|role, _| if role == Role::Cooler { Fault::Refuse("OtherCustody") } else { Fault::None });
    let (status, problem) = app.post("/wallets", None, json!({"id": "alice"})).await;
    assert_eq!((status, &problem["reason"]), (409, &json!("OtherCustody")), "{problem:#}");
    world.signers.heal();
    assert_eq!(app.post("/wallets", None, json!({"id": "alice"})).await.0, 201);
}
