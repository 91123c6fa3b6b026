//! How a broadcast is run: several gas keys and nodes, private endpoints, and a journal through kills.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use serde_json::{Value, json};

use crate::{
    batches::{names, room, transactions},
    room::{ETH, Room, SAFE_PLACE, json_of, refused, statuses, stderr},
};

/// Seven wallets in a transaction at most.
const FEW: &str = "evac broadcast -o json bundle.json --gas-key gas.key --max-gas 2000000";

/// Wallets of a chain with Multicall3 that makes no blocks by itself, each with one ETH that is signed for.
async fn still(count: usize) -> Room {
    let room = room(&names(count)).await;
    room.plan("");
    room.sign();
    mining(&room, false).await;
    room
}

/// The chain makes a block of what waits, and one for each transaction from now on; or none any more.
async fn mining(room: &Room, on: bool) {
    let () = room.anvil.rpc("evm_setAutomine", json!([on])).await.unwrap();
    if on {
        let _: Value = room.anvil.rpc("evm_mine", json!([])).await.unwrap();
    }
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the program says this.
fn heard(child: &mut Child, words: &str) {
    let mut said = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended and did not say: {words}");
    }
}

/// The names of the transactions in a journal.
fn kept(room: &Room, journal: &str) -> Vec<String> {
    let text = fs::read_to_string(room.path(journal)).unwrap();
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter_map(|record| Some(record["sent"]["tx"].as_str()?.to_owned())).collect()
}

fn is_done(report: &Value) -> bool {
    statuses(report).iter().all(|status| ["executed", "alreadyExecuted"].contains(status))
}

#[tokio::test(flavor = "multi_thread")]
async fn several_gas_keys_send_at_once_and_one_that_has_run_dry_is_named_and_the_others_go_on() {
    let room = still(64).await;
    let accounts = room.anvil.dev_accounts().unwrap();
    fs::write(room.path("second.key"), &accounts[2].key).unwrap();
    fs::write(room.path("dry.key"), "07".repeat(32)).unwrap();
    refused(&room.program(&format!("{FEW} --gas-key gas.key")), 2, "gas.key and gas.key have the same key");
    // The first node is away.
    let more = "--gas-key dry.key --gas-key second.key --rpc http://127.0.0.1:9 --picture moved.svg";
    let mut child = start(room.command(&format!("{FEW} {more}")));
    let sent = async || [room.sent().await, room.sent_by(&accounts[2].address).await];
    while sent().await != [4, 4] {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
    }
    mining(&room, true).await;
    let output = child.wait_with_output().unwrap();
    let report = json_of(&output);
    assert_eq!(statuses(&report), ["executed"; 64]);
    let said = stderr(&output);
    let dry = said.lines().find(|line| line.contains("gas key dry.key") && line.contains("a transaction may cost"));
    assert!(dry.is_some_and(|line| line.ends_with("wei: send it more; the other keys go on")), "{said}");
    assert!(sent().await.iter().all(|sent| *sent >= 4), "each carried its part");
    assert_eq!(room.balance(SAFE_PLACE).await, 64 * ETH);

    // What it comes to.
    assert_eq!(report["moved"], json!({"valuePercent": 100.0, "wallets": 64}));
    assert_eq!(
        (&report["notMoved"], &report["prices"], &report["valueIn"]),
        (&json!([]), &json!({}), &json!("percent"))
    );
    let blocks = ["p50", "p90", "p99", "p100"].map(|part| report["blocks"][part].as_u64().unwrap());
    assert!(blocks.is_sorted() && blocks[0] >= 1, "{blocks:?}");
    let gas = report["gasPerWallet"].as_u64().unwrap();
    assert!((200_000..400_000).contains(&gas), "a creation and an execution take {gas}");
    let picture = fs::read_to_string(room.path("moved.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">100 % of the value moved, "), "{picture}");
    assert!(picture.contains(">Evacuation of 64 wallets on eip155:31337<"), "{picture}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_gone_on_with_by_its_journal_and_no_other_run_may_have_it_meanwhile() {
    let room = still(35).await;
    room.killed_when_sent(2, FEW).await;
    let sent = kept(&room, "bundle.json.journal");
    assert!(sent.len() >= 2, "kept before they were sent");
    // The kill has cut what was being written.
    let mut journal = fs::OpenOptions::new().append(true).open(room.path("bundle.json.journal")).unwrap();
    journal.write_all(b"{\"sent\":{\"of\":\"batch 9\",\"pur").unwrap();
    // Killed once more while it waits for them, and then not.
    let mut report = Value::Null;
    for last in [false, true] {
        let mut child = start(room.command(FEW));
        heard(&mut child, "transactions of an earlier run are under way; they are waited for first");
        refused(&room.program(FEW), 2, "the journal bundle.json.journal: another run is going on with it");
        if !last {
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        mining(&room, true).await;
        report = json_of(&child.wait_with_output().unwrap());
        assert!(is_done(&report), "{report:#}");
    }
    for tx in sent {
        let mined: Value = room.anvil.rpc("eth_getTransactionReceipt", json!([tx])).await.unwrap();
        assert_eq!(mined["status"], "0x1", "the very transactions of the first run: {mined}");
    }
    assert_eq!(room.sent().await, transactions(&room, &report).await.len() as u64, "nothing was sent in vain");
    assert_eq!(room.balance(SAFE_PLACE).await, 35 * ETH);
    fs::write(room.path("notes.txt"), "not a journal").unwrap();
    refused(&room.program(&format!("{FEW} --journal notes.txt")), 2, "notes.txt: line 1 is malformed");
    assert_eq!(fs::read_to_string(room.path("notes.txt")).unwrap(), "not a journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predeployment_that_was_killed_is_gone_on_with_by_its_journal_and_creates_nothing_twice() {
    let room = room(&names(80)).await;
    mining(&room, false).await;
    let words = "evac predeploy -o json --wallets wallets.json --manifest manifest.json --gas-key gas.key";
    room.killed_when_sent(1, words).await;
    let sent = kept(&room, "predeploy.journal");
    assert_eq!(sent.len(), 1, "what does not fill a transaction waits");
    let mut child = start(room.command(words));
    heard(&mut child, "transactions of an earlier run are under way; they are waited for first");
    refused(&room.program(words), 2, "the journal predeploy.journal: another run is going on with it");
    mining(&room, true).await;
    let report = json_of(&child.wait_with_output().unwrap());
    assert_eq!(report, json!({"created": 80, "transactions": 1, "left": 0}));
    let mined: Value = room.anvil.rpc("eth_getTransactionReceipt", json!([sent[0]])).await.unwrap();
    assert_eq!(mined["status"], "0x1", "the very transaction of the first run: {mined}");
    assert_eq!(room.sent().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_journal_and_with_another_key_a_run_goes_on_from_the_chain() {
    let room = still(14).await;
    room.killed_when_sent(1, FEW).await;
    fs::remove_file(room.path("bundle.json.journal")).unwrap();
    // What is pending of the same key is replaced; another key sends beside it. Then all is mined.
    let second = &room.anvil.dev_accounts().unwrap()[2];
    fs::write(room.path("second.key"), &second.key).unwrap();
    room.killed_when_sent(2, &format!("{FEW} --journal none")).await;
    assert!(!room.path("bundle.json.journal").exists());
    let other = "evac broadcast -o json bundle.json --gas-key second.key --max-gas 2000000 --journal other.journal";
    let child = start(room.command(other));
    while room.sent_by(&second.address).await == 0 {
        tokio::task::yield_now().await;
    }
    mining(&room, true).await;
    let report = json_of(&child.wait_with_output().unwrap());
    assert!(is_done(&report), "{report:#}");
    assert_eq!(room.balance(SAFE_PLACE).await, 14 * ETH);
    assert!(!kept(&room, "other.journal").is_empty());
}

// The proxies serve while the program is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_endpoints_alone_get_what_is_sent_until_they_leave_it_out_for_ten_blocks() {
    let mut room = still(3).await;
    let [open, hidden] = [(); 2].map(|()| RpcProxy::start(room.anvil.url().leak()));
    let (open, hidden) = (open.await.unwrap(), hidden.await.unwrap());
    room.rpc = open.url();
    let words = format!("{FEW} --private {}", hidden.url());
    // It says that it takes it, and loses it.
    let send = "eth_sendRawTransaction";
    let loses = hidden.rule(Rule::on(send).does(Fault::Answer(json!(format!("0x{}", "00".repeat(32))))));
    let child = start(room.command(&words));
    while hidden.count(send) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open.count(send), 0);
    while room.sent().await == 0 {
        let _: Value = room.anvil.rpc("anvil_mine", json!(["0x4"])).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    mining(&room, true).await;
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(statuses(&json_of(&output)), ["executed"; 3]);
    assert!(stderr(&output).contains("the private endpoints leave out transactions of gas key gas.key"), "{output:?}");
    assert!(open.count(send) >= 1);

    // One that does what it says: nobody else sees anything.
    hidden.remove(loses);
    for name in names(3) {
        room.fund(&name, ETH).await;
    }
    room.plan("");
    room.sign();
    open.reset();
    hidden.reset();
    let command = room.command(&words);
    let output = tokio::task::spawn_blocking(|| start(command).wait_with_output().unwrap()).await.unwrap();
    assert_eq!(statuses(&json_of(&output)), ["executed"; 3]);
    assert_eq!((open.count(send), hidden.count(send)), (0, 1));
    assert_eq!(room.balance(SAFE_PLACE).await, 6 * ETH);
}
