//! Where the chain has Multicall3, many wallets move in one transaction.

use std::process::Stdio;

use chain_evm::constants::MULTICALL;
use harness::{
    evm::tokens::{EATER, LIAR, NEVER_ENDS, PAUSED, RETURNS_FALSE, REVERTS, code},
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

use crate::room::{ETH, Room, SAFE_PLACE, json_of, statuses};

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("wallet-{number:03}")).collect()
}

fn key(number: usize) -> u8 {
    u8::try_from(10 + number).unwrap()
}

/// Wallets of a chain with Multicall3, each with one ETH.
pub(crate) async fn room(names: &[String]) -> Room {
    let room = Room::new(names).await;
    room.anvil.deploy_multicall().await.unwrap();
    for name in names {
        give(&room, name).await;
    }
    room
}

async fn give(room: &Room, wallet: &str) {
    let _: Value =
        room.anvil.rpc("anvil_setBalance", json!([room.address(wallet), format!("{ETH:#x}")])).await.unwrap();
}

/// A wallet has 42 of a token of [`code`].
async fn hold(room: &Room, contract: &str, wallet: &str) {
    let word = |hex: &str| format!("0x{:0>64}", hex.trim_start_matches("0x"));
    let params = json!([contract, word(room.address(wallet)), word("2a")]);
    let _: Value = room.anvil.rpc("anvil_setStorageAt", params).await.unwrap();
}

/// The transactions that the report names, each once; all of them are Multicall3's.
pub(crate) async fn transactions(room: &Room, report: &Value) -> Vec<String> {
    let lines = report["wallets"].as_array().unwrap();
    let mut txs: Vec<String> = lines.iter().filter_map(|line| Some(line["tx"].as_str()?.to_owned())).collect();
    txs.sort_unstable();
    txs.dedup();
    for tx in &txs {
        let tx: Value = room.anvil.rpc("eth_getTransactionByHash", json!([tx])).await.unwrap();
        assert_eq!(tx["to"].as_str().unwrap().to_lowercase(), MULTICALL.to_string().to_lowercase(), "{tx:#}");
    }
    txs
}

/// Status of one asset of a wallet, and the message.
fn line<'a>(report: &'a Value, wallet: &str, asset: &str) -> (&'a str, &'a str) {
    let lines = report["wallets"].as_array().unwrap();
    let line = lines.iter().find(|line| line["id"] == wallet && line["asset"] == asset).unwrap();
    (line["status"].as_str().unwrap(), line["message"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_wallets_move_in_few_transactions_whatever_some_tokens_and_a_thief_do() {
    let names = names(60);
    let room = room(&names).await;
    let usd = room.anvil.deploy_token().await.unwrap();
    for (contract, transfer) in [(PAUSED, REVERTS), (LIAR, RETURNS_FALSE), (EATER, NEVER_ENDS)] {
        room.anvil.set_code(contract, &code(transfer)).await.unwrap();
    }
    for (number, name) in names.iter().enumerate() {
        room.anvil.fund_token(&usd, room.address(name), 42).await.unwrap();
        if number < 30 {
            room.create(name, key(number)).await;
        }
    }
    let (liars, paused, eaters, robbed) = (0..3, 3..6, 6..7, 7..10);
    for (contract, holders) in [(LIAR, liars.clone()), (PAUSED, paused.clone()), (EATER, eaters.clone())] {
        for number in holders {
            hold(&room, contract, &names[number]).await;
        }
    }
    let assets = format!("--asset USD={usd} --asset LIAR={LIAR} --asset ETH=native");
    let planned = room.plan(&format!("{assets} --asset PAUSED={PAUSED} --asset EATER={EATER}"));
    assert_eq!(planned["steps"], 120 + 3 + 3 + 1);
    room.sign();
    for number in robbed.clone() {
        room.pay_at(&names[number], key(number), 0, 1).await;
    }
    // A stranger creates one.
    room.create(&names[59], key(59)).await;

    let output = room.broadcast();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (number, name) in names.iter().enumerate() {
        let expected = if robbed.contains(&number) { ["superseded", "failed"] } else { ["executed"; 2] };
        let found = [line(&report, name, "USD").0, line(&report, name, "ETH").0];
        assert_eq!(found, expected, "{name}: {:?}", line(&report, name, "ETH"));
    }
    for number in liars {
        assert_eq!(line(&report, &names[number], "LIAR"), ("failed", "it used its nonce but moved nothing"));
    }
    for number in paused {
        let (status, message) = line(&report, &names[number], "PAUSED");
        assert!(status == "failed" && message.contains("it would revert"), "{message}");
    }
    for number in eaters {
        let (status, message) = line(&report, &names[number], "EATER");
        assert!(status == "failed" && message.contains("it would revert"), "{message}");
    }
    for number in robbed {
        assert!(line(&report, &names[number], "ETH").1.contains("GS013"), "{report:#}");
    }
    assert_eq!(room.balance(SAFE_PLACE).await, 57 * ETH);
    assert_eq!(room.anvil.token_balance(&usd, SAFE_PLACE).await.unwrap(), 57 * 42);
    let sent = room.sent().await;
    assert_eq!(transactions(&room, &report).await.len() as u64, sent);
    assert!(sent <= 3, "30 creations and 117 executions took {sent} transactions");

    // Once more: nothing is sent, and nothing else is told of what was done.
    let again: Value = serde_json::from_slice(&room.broadcast().stdout).unwrap();
    assert_eq!(room.sent().await, sent);
    assert_eq!(line(&again, &names[20], "USD").0, "alreadyExecuted");
    assert_eq!(line(&again, &names[0], "LIAR"), ("failed", "it used its nonce but moved nothing"));
    // Planned anew, the thief's wallets are emptied too.
    assert_eq!(room.plan(&assets)["steps"], 2 * 3 + 3);
    room.sign();
    assert_eq!(room.broadcast().status.code(), Some(1), "the liar's token stays");
    assert_eq!(room.balance(SAFE_PLACE).await, 60 * ETH - 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_that_exist_fill_a_transaction_by_its_bytes() {
    let names = names(200);
    let room = room(&names).await;
    room.plan("");
    room.sign();
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed"; 200]);
    for name in &names {
        give(&room, name).await;
    }
    room.plan("");
    room.sign();
    let before = room.sent().await;
    let report = json_of(&room.broadcast());
    assert_eq!(room.sent().await - before, 2, "200 wallets, at least 100 in one transaction");
    for tx in transactions(&room, &report).await {
        let tx: Value = room.anvil.rpc("eth_getTransactionByHash", json!([tx])).await.unwrap();
        assert!(tx["input"].as_str().unwrap().len() / 2 <= 124 * 1024);
    }
    assert_eq!(room.balance(SAFE_PLACE).await, 400 * ETH);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_a_killed_run_left_pending_are_taken_over_and_nothing_moves_twice() {
    let names = names(40);
    let room = room(&names).await;
    room.plan("");
    room.sign();
    let few = "evac broadcast bundle.json --gas-key gas.key --max-gas 2000000";
    let () = room.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    room.killed_when_sent(3, few).await;
    // What is pending is mined while the second run goes on; that one is killed in its turn.
    let () = room.anvil.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    let mut killed = room.command(few).stderr(Stdio::null()).spawn().unwrap();
    while room.balance(SAFE_PLACE).await == 0 {
        tokio::task::yield_now().await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let report = json_of(&room.program("evac broadcast -o json bundle.json --gas-key gas.key --max-gas 2000000"));
    let done = |status: &&str| ["executed", "alreadyExecuted"].contains(status);
    assert!(statuses(&report).iter().all(done), "{report:#}");
    assert!(transactions(&room, &report).await.len() >= 6, "seven wallets at most in two million gas");
    assert_eq!(room.balance(SAFE_PLACE).await, 40 * ETH);
    let sent = room.sent().await;
    assert_eq!(statuses(&json_of(&room.broadcast())), ["alreadyExecuted"; 40]);
    assert_eq!(room.sent().await, sent);
}

// The proxy serves while the program is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pool_does_not_take_now_is_sent_again_and_not_failed() {
    let names = names(3);
    let mut room = room(&names).await;
    let proxy = RpcProxy::start(&room.anvil.url()).await.unwrap();
    room.rpc = proxy.url();
    room.plan("");
    room.sign();
    let method = "eth_sendRawTransaction";
    proxy.rule(Rule::on(method).times(1).does(Fault::error(-32000, "txpool is full")));
    proxy.rule(Rule::on(method).times(1).does(Fault::error(-32000, "a new rule of this pool")));
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed"; 3]);
    assert!(proxy.count(method) >= 2);
    assert_eq!((room.sent().await, room.balance(SAFE_PLACE).await), (1, 3 * ETH));
}
