//! Promises of `multisig evac`, the program itself against a real EVM node with the real Safe contracts.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod batches;
mod ladders;
mod plans;
mod room;
mod runs;

use std::fs;

use chain::KeyRole;
use evacuation::Bundle;
use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use serde_json::{Value, json};

use crate::room::{ETH, Room, SAFE_PLACE, json_of, refused, statuses, stderr};

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_to_the_safe_place_also_from_a_wallet_that_never_paid() {
    let room = Room::new(&["alice", "bob", "poor"]).await;
    room.fund("alice", ETH).await;
    room.fund("bob", 5).await;
    room.pay("alice", 10, 0, 7).await;
    let planned = room.plan("");
    assert_eq!((&planned["wallets"], &planned["steps"]), (&json!(3), &json!(2)));
    assert_eq!(planned["totals"], json!({"native": (ETH - 2).to_string()}));
    room.sign();
    let report = json_of(&room.broadcast());
    assert_eq!(statuses(&report), ["executed", "executed"]);
    let first = &report["wallets"][0];
    assert_eq!((&first["id"], &first["address"]), (&json!("alice"), &json!(room.address("alice"))));
    assert_eq!((&first["to"], &first["amountWei"]), (&json!(SAFE_PLACE), &json!((ETH - 7).to_string())));
    let tx: Value = room.anvil.rpc("eth_getTransactionByHash", json!([first["tx"]])).await.unwrap();
    assert_eq!(tx["to"].as_str().unwrap().to_lowercase(), room.address("alice").to_lowercase());
    assert_eq!(room.balance(SAFE_PLACE).await, ETH - 2);
    assert_eq!(room.plan("")["steps"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_move_before_the_coin_at_the_next_nonce() {
    let room = Room::new(&["alice"]).await;
    let token = room.anvil.deploy_token().await.unwrap();
    room.anvil.fund_token(&token, room.address("alice"), 42).await.unwrap();
    room.fund("alice", 5).await;
    let planned = room.plan(&format!("--asset USD={token} --asset ETH=native"));
    assert_eq!(planned["totals"], json!({"ETH": "5", "USD": "42"}));
    room.sign();
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed", "executed"]);
    assert_eq!(room.anvil.token_balance(&token, SAFE_PLACE).await.unwrap(), 42);
    assert_eq!(room.balance(SAFE_PLACE).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcast_again_sends_nothing_twice() {
    let room = Room::new(&["alice", "bob"]).await;
    room.fund("alice", ETH).await;
    room.fund("bob", ETH).await;
    room.plan("");
    room.sign();
    let first = json_of(&room.broadcast());
    let sent = room.sent().await;
    assert_eq!(sent, 4, "two deployments and two executions");
    room.fund("alice", ETH).await;
    let second = json_of(&room.broadcast());
    assert_eq!(statuses(&second), ["alreadyExecuted", "alreadyExecuted"]);
    let txs = |report: &Value| -> Vec<Value> {
        report["wallets"].as_array().unwrap().iter().map(|moved| moved["tx"].clone()).collect()
    };
    assert_eq!(txs(&first), txs(&second));
    assert_eq!(room.sent().await, sent);
    assert_eq!(room.balance(SAFE_PLACE).await, 2 * ETH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_was_killed_goes_on_and_repeats_nothing() {
    let room = Room::new(&["alice", "bob", "carol"]).await;
    for wallet in ["alice", "bob", "carol"] {
        room.fund(wallet, ETH).await;
    }
    room.plan("");
    room.sign();
    // Nothing is mined, so the first run hangs in its first transactions.
    let () = room.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    room.killed_when_sent(3, "evac broadcast bundle.json --gas-key gas.key").await;
    let _: Value = room.anvil.rpc("evm_mine", json!([])).await.unwrap();
    let () = room.anvil.rpc("evm_setAutomine", json!([true])).await.unwrap();
    let report = json_of(&room.broadcast());
    assert_eq!(statuses(&report), ["executed"; 3]);
    assert_eq!(room.sent().await, 6, "three deployments and three executions, each once");
    assert_eq!(room.balance(SAFE_PLACE).await, 3 * ETH);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_fees_have_risen_a_later_run_replaces_what_is_pending_within_its_ceiling() {
    let room = Room::new(&["alice"]).await;
    room.fund("alice", ETH).await;
    room.plan("");
    room.sign();
    let () = room.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    room.killed_when_sent(1, "evac broadcast bundle.json --gas-key gas.key").await;
    let fee = format!("{:#x}", 20_000_000_000_u64);
    let _: Value = room.anvil.rpc("anvil_setNextBlockBaseFeePerGas", json!([fee])).await.unwrap();
    let _: Value = room.anvil.rpc("evm_mine", json!([])).await.unwrap();
    let () = room.anvil.rpc("evm_setAutomine", json!([true])).await.unwrap();
    let output = room.program("evac broadcast -o json bundle.json --gas-key gas.key --max-fee 5");
    refused(&output, 1, "1 of 1 transactions are not done");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = report["wallets"][0]["message"].as_str().unwrap();
    assert!(message.contains("--max-fee") && message.contains("the configured ceiling of 5000000000"), "{message}");
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed"]);
    assert_eq!(room.sent().await, 2, "a deployment and an execution, each in its own place");
    assert_eq!(room.balance(SAFE_PLACE).await, ETH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_paid_in_between_or_lost_money_is_named_and_holds_up_no_other() {
    let room = Room::new(&["alice", "bob", "carol"]).await;
    for wallet in ["alice", "bob", "carol"] {
        room.fund(wallet, ETH).await;
    }
    room.pay("alice", 10, 0, 1).await;
    room.plan("");
    room.sign();
    room.pay("alice", 10, 1, 1).await;
    let _: Value = room.anvil.rpc("anvil_setBalance", json!([room.address("bob"), "0x1"])).await.unwrap();
    let output = room.broadcast();
    refused(&output, 1, "2 of 3 transactions are not done");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(statuses(&report), ["superseded", "failed", "executed"], "{report:#}");
    assert!(report["wallets"][1]["message"].as_str().unwrap().contains("GS013"), "{report:#}");
    // Planned anew, the rest moves too.
    room.plan("");
    room.sign();
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed", "executed"]);
    assert_eq!(room.balance(SAFE_PLACE).await, 2 * ETH - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_one_line_that_says_what_to_do_and_sends_nothing() {
    let room = Room::new(&["alice"]).await;
    room.fund("alice", ETH).await;
    let plan = |words: &str| room.program(&format!("evac plan --out plan.json {words}"));
    refused(&plan("--wallets none.json --manifest manifest.json"), 2, "cannot read none.json");
    refused(&plan("--wallets manifest.json --manifest manifest.json"), 2, "manifest.json: malformed");
    refused(&plan("--wallets wallets.json --manifest wallets.json"), 2, "wallets.json: malformed");
    let wallets = fs::read_to_string(room.path("wallets.json")).unwrap();
    fs::write(room.path("wide.json"), wallets.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    refused(
        &plan("--wallets wide.json --manifest manifest.json"),
        2,
        "wide.json: the file is UTF-16; save it as UTF-8",
    );
    let asset = "--asset USD=0xfB6916095CA1df60bB79Ce92cE3Ea74c37c5d359";
    let why = "--asset USD: the checksum of the address '0xfB69";
    refused(&plan(&format!("--wallets wallets.json --manifest manifest.json {asset}")), 2, why);
    refused(&plan("--wallets wallets.json --manifest manifest.json --chain eip155:1"), 1, "not eip155:1");
    let to = "--to 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    refused(&plan(&format!("--wallets wallets.json --manifest manifest.json {to}")), 2, "is not a safe destination");
    assert!(!room.path("plan.json").exists());

    room.plan("");
    fs::copy(room.path("plan.json"), room.path("bundle.json")).unwrap();
    refused(&room.broadcast(), 2, "not signed by cool");
    room.sign();
    let bundle = Bundle::parse(&fs::read(room.path("bundle.json")).unwrap()).unwrap();
    let mut swapped = bundle.clone();
    let cold = swapped.steps[0].signatures[&KeyRole::Cold].clone();
    swapped.steps[0].signatures.insert(KeyRole::Cool, cold);
    fs::write(room.path("bundle.json"), swapped.to_json()).unwrap();
    refused(&room.broadcast(), 2, "the cool signature does not fit");
    fs::write(room.path("bundle.json"), bundle.to_json()).unwrap();
    fs::write(room.path("gas.key"), "SECRET").unwrap();
    let output = room.broadcast();
    refused(&output, 2, "gas.key: the relayer key is malformed");
    assert!(!stderr(&output).contains("SECRET"));
    fs::write(room.path("gas.key"), "07".repeat(32)).unwrap();
    let output = room.broadcast();
    refused(&output, 1, "1 of 1 transactions are not done");
    assert!(String::from_utf8_lossy(&output.stdout).contains("send it more"), "an empty float is named");
    assert_eq!(room.balance(SAFE_PLACE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_without_a_manifest_is_verified_by_the_one_that_is_named() {
    let room = Room::new(&["alice"]).await;
    room.fund("alice", ETH).await;
    room.plan("");
    room.sign();
    let bundle = Bundle::parse(&fs::read(room.path("bundle.json")).unwrap()).unwrap();
    assert!(bundle.manifest.is_some());
    fs::write(room.path("bundle.json"), Bundle { manifest: None, ..bundle }.to_json()).unwrap();
    refused(&room.broadcast(), 2, "bundle.json carries no manifest; name it with --manifest FILE");
    let words = "evac broadcast -o json bundle.json --gas-key gas.key --manifest";
    refused(&room.program(&format!("{words} wallets.json")), 2, "wallets.json: malformed");
    assert_eq!(statuses(&json_of(&room.program(&format!("{words} manifest.json")))), ["executed"]);
    assert_eq!(room.balance(SAFE_PLACE).await, ETH);
}

// The proxy serves while the program is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_limits_requests_and_ranges_delays_an_evacuation_and_spoils_nothing() {
    let mut room = Room::new(&["alice", "bob", "carol"]).await;
    for (wallet, wei) in [("alice", 3), ("bob", 2)] {
        room.fund(wallet, wei).await;
    }
    let proxy = RpcProxy::start(&room.anvil.url()).await.unwrap();
    room.rpc = proxy.url();
    let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"rate limit"}}"#;
    proxy.rule(Rule::any().each(5).does(Fault::status(429, limit, &[("retry-after", "0")])));
    proxy.rule(Rule::any().each(9).does(Fault::status(502, "<html>", &[])));
    // A token of another network is left out by name, and nothing else is.
    let nowhere = "0x00000000000000000000000000000000000000bb";
    let plan = room.plan(&format!("--asset USD={nowhere}"));
    assert_eq!((&plan["steps"], &plan["totals"]), (&json!(2), &json!({"native": "5"})), "{plan:#}");
    let why = plan["unreadable"]["USD"].as_str().unwrap();
    assert!(why.contains("does not answer balanceOf"), "{why}");
    room.sign();
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed"; 2]);
    assert_eq!(room.balance(SAFE_PLACE).await, 5);

    // Long after, by a provider that shows few blocks at a time: what was moved was moved.
    let _: Value = room.anvil.rpc("anvil_mine", json!(["0x200"])).await.unwrap();
    proxy.clear();
    proxy.log_range(Some(100));
    assert_eq!(statuses(&json_of(&room.broadcast())), ["alreadyExecuted"; 2]);

    // Where no wallet can be made, nothing is planned and no gas is spent.
    let sent = room.sent().await;
    let factory = chain_evm::constants::FACTORY.to_string();
    room.anvil.set_code(&factory, "0x").await.unwrap();
    for words in [
        "evac plan --wallets wallets.json --manifest manifest.json --out other.json",
        "evac broadcast bundle.json --gas-key gas.key",
    ] {
        let refused = room.program(words);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(stderr(&refused).contains("the Safe proxy factory is not at"), "{refused:?}");
    }
    assert_eq!(room.sent().await, sent);
}
