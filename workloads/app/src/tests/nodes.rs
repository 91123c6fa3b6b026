//! Payments and wallets while the chain's node misbehaves: a real node behind a proxy.

use chain_evm::constants::FACTORY;
use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use serde_json::{Value, json};

use super::{
    home::{ETH, SHOP},
    world::World,
};

#[tokio::test]
async fn a_node_that_limits_drops_or_lags_delays_a_payment_and_ends_none() {
    let world = World::new().await;
    let proxy = RpcProxy::start(&world.anvil.url()).await.unwrap();
    let app = world
        .start_with(|config| {
            config["chain"]["nodes"] = json!([proxy.url()]);
            config["chain"]["headAge"] = json!(600);
        })
        .await;
    world.funded(&app, "alice").await;
    let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"rate limit"}}"#;
    proxy.rule(Rule::any().each(7).does(Fault::status(429, limit, &[("retry-after", "0")])));
    proxy.rule(Rule::any().each(11).does(Fault::Drop));
    app.paid("one", "alice", 7).await;
    proxy.clear();

    // As of a time before the money came: the wallet looks empty.
    let old = |_: &Value, block: &mut Value| block["timestamp"] = json!("0x1");
    proxy.rule(Rule::on("eth_getBlockByNumber").does(Fault::alter(old)));
    proxy.rule(Rule::on("eth_getBalance").does(Fault::Answer(json!("0x0"))));
    let id = app.pay("two", "alice", SHOP, "ETH", 7).await;
    let behind = |payment: &Value| payment["message"].as_str().is_some_and(|message| message.contains("is behind"));
    let waiting = app.until(&id, behind).await;
    assert_eq!(waiting["reason"], Value::Null, "{waiting:#}");
    proxy.clear();
    assert_eq!(app.ended(&id).await["status"], "confirmed");
    assert_eq!(world.balance(SHOP).await, 14);
}

#[tokio::test]
async fn no_address_is_given_out_where_no_wallet_could_be_made_or_while_that_is_not_known() {
    let world = World::new().await;
    let factory = FACTORY.to_string();
    let code: String = world.anvil.rpc("eth_getCode", json!([factory, "latest"])).await.unwrap();
    world.anvil.set_code(&factory, "0x").await.unwrap();
    let app = world.start().await;
    let ask = async || app.post("/wallets", None, json!({"id": "alice"})).await;
    let (status, problem) = ask().await;
    assert_eq!((status, &problem["reason"]), (409, &json!("NoContracts")), "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("is not at {factory}")), "{problem:#}");
    world.anvil.set_code(&factory, &code).await.unwrap();
    world.anvil.stop().await;
    let (status, problem) = ask().await;
    assert_eq!((status, &problem["reason"]), (503, &json!("NodeAway")), "{problem:#}");
    world.anvil.start_again().await.unwrap();
    let (status, wallet) = ask().await;
    assert_eq!(status, 201, "{wallet:#}");
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_named_and_is_in_no_other_payments_way() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    // PUSH0 PUSH0 REVERT: every call fails.
    world.anvil.set_code(&world.token, "0x5f5ffd").await.unwrap();
    let (_, wallet) = app.get("/wallets/alice").await;
    assert_eq!(wallet["balances"], json!({"ETH": ETH.to_string(), "USD": null}), "{wallet:#}");
    assert!(wallet["message"].as_str().unwrap().starts_with("USD can't be read: balanceOf of"), "{wallet:#}");
    let usd = app.pay("one", "alice", SHOP, "USD", 7).await;
    let eth = app.pay("two", "alice", SHOP, "ETH", 7).await;
    let failed = app.ended(&usd).await;
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!("UnreadableAsset")), "{failed:#}");
    assert_eq!(app.ended(&eth).await["status"], "confirmed");
}
