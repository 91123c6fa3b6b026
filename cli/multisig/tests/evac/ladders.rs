//! Plans of ladders: every asset at every nonce that can still be live, signed into a file per owner, and broadcast.

use std::{fs, io::Write, process::Stdio};

use chain::KeyRole;
use chain_adapters::Adapters;
use custody::phrase::EIP155;
use evacuation::{
    ExportedAsset, ExportedPayment, WalletsExport,
    stream::{OpenedPlan, SignatureWriter, SignedChunk},
};
use serde_json::{Value, json};

use crate::room::{ETH, Room, SAFE_PLACE, chain, json_of, keys, refused, statuses};

const BROADCAST: &str = "evac broadcast -o json --gas-key gas.key";
/// A token of which everybody has 42, and which always reverts when it is asked to transfer.
const PAUSED: &str = "0x00000000000000000000000000000000000000a1";
const PAUSED_CODE: &str = "0x60003560e01c6370a082311460145760006000fd5b602a60005260206000f3";

/// What a station makes of a plan.
fn station(room: &Room, plan: &str, role: KeyRole) -> Vec<u8> {
    let byte = if role == KeyRole::Cool { 2 } else { 3 };
    let secret = keys(byte).secret(EIP155).unwrap();
    let plan = fs::read(room.path(plan)).unwrap();
    let mut plan = OpenedPlan::open(plan.as_slice()).unwrap().verify(&room.manifest, &Adapters::all()).unwrap();
    let mut file = SignatureWriter::begin(Vec::new(), role, plan.header_digest()).unwrap();
    while let Some(chunk) = plan.next_chunk().unwrap() {
        file.chunk(SignedChunk::sign(&chunk, role, &secret).unwrap()).unwrap();
    }
    file.finish(plan.digest()).unwrap()
}

/// Both stations sign `plan.json`.
fn sign(room: &Room) {
    for (name, role) in [("cool.sig", KeyRole::Cool), ("cold.sig", KeyRole::Cold)] {
        fs::write(room.path(name), station(room, "plan.json", role)).unwrap();
    }
}

/// The first wallet's export tells of a payment of one ETH at nonce 0.
fn outstanding(room: &Room) {
    let mut export = WalletsExport::parse(&fs::read(room.path("wallets.json")).unwrap()).unwrap();
    let amount = ETH.into();
    let (contract, to) = (Some("native".into()), None);
    let payment = ExportedPayment { chain: chain(), nonce: 0, asset: "ETH".into(), contract, amount, to };
    export.version = 2;
    export.assets = vec![ExportedAsset { chain: chain(), symbol: "ETH".into(), contract: "native".into() }];
    export.wallets[0].outstanding = vec![payment];
    export.wallets[0].highest = [(chain(), 0)].into();
    fs::write(room.path("wallets.json"), export.to_json()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_sent_in_front_shifts_the_rung_and_the_rest_moves() {
    for multicall in [true, false] {
        let room = Room::new(&["alice", "poor", "bob"]).await;
        if multicall {
            room.anvil.deploy_multicall().await.unwrap();
        }
        room.fund("alice", 3 * ETH).await;
        room.fund("bob", ETH).await;
        outstanding(&room);
        let planned = room.plan("--ladder");
        assert_eq!((&planned["version"], &planned["wallets"], &planned["steps"]), (&json!(2), &json!(2), &json!(5)));
        assert_eq!(planned["totals"], json!({"ETH": (4 * ETH).to_string()}));
        sign(&room);
        // App, or who took it, sends the payment that was signed before the freeze.
        room.pay("alice", 10, 0, ETH).await;
        let report = json_of(&room.program(&format!("{BROADCAST} plan.json cool.sig cold.sig")));
        assert_eq!(statuses(&report), ["executed"; 2], "{report:#}");
        let alice = report["wallets"].as_array().unwrap().iter().find(|line| line["id"] == "alice").unwrap();
        assert_eq!(alice["amountWei"], (3 * ETH).to_string());
        assert_eq!(alice["message"], format!("it moved {}; more would have reverted", 2 * ETH));
        assert_eq!((room.balance(SAFE_PLACE).await, room.balance(room.address("alice")).await), (3 * ETH, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_reverts_holds_up_no_other_and_nothing_moves_twice_after_a_kill() {
    let names = ["alice", "bob", "carol"];
    let room = Room::new(&names).await;
    room.anvil.deploy_multicall().await.unwrap();
    room.anvil.set_code(PAUSED, PAUSED_CODE).await.unwrap();
    for name in names {
        room.fund(name, ETH).await;
    }
    let planned = room.plan(&format!("--ladder --asset PAUSED={PAUSED} --asset ETH=native"));
    assert_eq!((&planned["wallets"], &planned["steps"]), (&json!(3), &json!(3 * 6)));
    sign(&room);
    // Nothing is mined, so the first run hangs in its first transaction.
    let () = room.anvil.rpc("evm_setAutomine", json!([false])).await.unwrap();
    room.killed_when_sent(1, &format!("{BROADCAST} plan.json cool.sig cold.sig")).await;
    let _: Value = room.anvil.rpc("evm_mine", json!([])).await.unwrap();
    let () = room.anvil.rpc("evm_setAutomine", json!([true])).await.unwrap();
    // The owners' files may come in either order, and the manifest may be named.
    let output = room.program(&format!("{BROADCAST} plan.json cold.sig cool.sig --manifest manifest.json"));
    refused(&output, 1, "3 of 6 transactions are not done");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for line in report["wallets"].as_array().unwrap() {
        let (status, message) = (line["status"].as_str().unwrap(), line["message"].as_str().unwrap_or_default());
        match line["asset"].as_str().unwrap() {
            "ETH" => assert!(["executed", "alreadyExecuted"].contains(&status), "{report:#}"),
            _ => assert!(status == "failed" && message.contains("it would revert"), "{report:#}"),
        }
    }
    assert_eq!((room.sent().await, room.balance(SAFE_PLACE).await), (1, 3 * ETH));
    // What arrives later does not move by a rung that is left.
    room.fund("alice", ETH).await;
    let again = room.program(&format!("{BROADCAST} plan.json cool.sig cold.sig"));
    refused(&again, 1, "3 of 6 transactions are not done");
    assert_eq!((room.sent().await, room.balance(SAFE_PLACE).await), (1, 3 * ETH));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_or_a_bundle_may_come_through_a_pipe() {
    let room = Room::new(&["alice", "bob"]).await;
    let piped = |name: &str, words: &str| {
        let mut command = room.command(&format!("{BROADCAST} /dev/stdin {words}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&fs::read(room.path(name)).unwrap()).unwrap();
        json_of(&child.wait_with_output().unwrap())
    };
    room.fund("alice", ETH).await;
    room.plan("--ladder");
    sign(&room);
    assert_eq!(statuses(&piped("plan.json", "cool.sig cold.sig")), ["executed"]);
    room.fund("bob", ETH).await;
    room.plan("");
    room.sign();
    assert_eq!(statuses(&piped("bundle.json", "")), ["executed"]);
    assert_eq!(room.balance(SAFE_PLACE).await, 2 * ETH);
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_files_that_are_not_two_owners_of_this_plan_are_named_and_nothing_is_sent() {
    let room = Room::new(&["alice", "bob"]).await;
    room.fund("alice", ETH).await;
    room.plan("--ladder");
    sign(&room);
    fs::rename(room.path("plan.json"), room.path("plan")).unwrap();
    room.fund("bob", ETH).await;
    room.plan("--ladder");
    fs::rename(room.path("plan.json"), room.path("other")).unwrap();
    fs::write(room.path("foreign.sig"), station(&room, "other", KeyRole::Cold)).unwrap();
    room.plan("");
    room.sign();
    let cold = fs::read(room.path("cold.sig")).unwrap();
    let cool = fs::read(room.path("cool.sig")).unwrap();
    fs::write(room.path("cut.sig"), &cold[..cold.len() - 1]).unwrap();
    fs::write(room.path("unfinished.sig"), &cold[..cold.len() - 35]).unwrap();
    let renamed = [b"multisig evacuation signatures 2\n\x28\x0a\x04cold".as_slice(), &cool[40..]].concat();
    fs::write(room.path("renamed.sig"), renamed).unwrap();
    let plan = fs::read(room.path("plan")).unwrap();
    fs::write(room.path("plan.cut"), &plan[..plan.len() - 1]).unwrap();
    let custody = custodies::Ceremony::fixed().destinations(chain().as_str(), &[SAFE_PLACE]).revision(2).held();
    fs::write(room.path("newer.json"), custody.signed.to_json()).unwrap();
    for (words, why) in [
        ("none cool.sig cold.sig", "cannot read none: "),
        ("plan cool.sig none.sig", "cannot read none.sig: "),
        ("plan", "plan is of version 2 and has no signatures in it; name the signature files of two owners"),
        ("plan cool.sig", "name the signature files of two owners"),
        ("plan cool.sig cool.sig", "cool.sig and cool.sig both have the signatures of cool; name the files of two"),
        ("plan cool.sig foreign.sig", "foreign.sig: the cold signatures are of another plan: its header differs"),
        ("other cool.sig foreign.sig", "cool.sig: the cool signatures are of another plan: its header differs"),
        ("plan renamed.sig cool.sig", "renamed.sig: the cold signatures are of another plan: a signature does not fit"),
        ("plan cool.sig cut.sig", "cut.sig: incomplete signatures: it ends in the middle; copy it again"),
        ("plan unfinished.sig cool.sig", "unfinished.sig: incomplete signatures"),
        ("plan cool.sig plan", "plan: malformed signatures: its first line is not"),
        ("cool.sig plan cold.sig", "cool.sig: malformed plan: its first line is not"),
        ("plan.cut cool.sig cold.sig", "plan.cut: incomplete plan"),
        ("plan cool.sig cold.sig --manifest newer.json", "plan: plan was made for custody"),
        ("plan cool.sig cold.sig --manifest wallets.json", "wallets.json: malformed"),
        (
            "bundle.json cool.sig cold.sig",
            "bundle.json is of version 1 and has its signatures in it; leave cool.sig out",
        ),
    ] {
        refused(&room.program(&format!("{BROADCAST} {words}")), 2, why);
    }
    let three = room.program(&format!("{BROADCAST} plan cool.sig cold.sig cut.sig"));
    assert_eq!(three.status.code(), Some(2));
    assert_eq!((room.sent().await, room.balance(SAFE_PLACE).await), (0, 0));
    assert_eq!(statuses(&json_of(&room.program(&format!("{BROADCAST} plan cool.sig cold.sig")))), ["executed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_ladders_names_the_option_that_a_station_would_refuse() {
    let room = Room::new(&["alice"]).await;
    let plan = |more: &str| {
        room.program(&format!("evac plan --wallets wallets.json --manifest manifest.json --out plan.json {more}"))
    };
    refused(&plan("--ladder --rebasing USD"), 2, "--rebasing USD");
    for (prices, why) in [
        (json!({"USD": {"price": "1", "decimals": 6}}), "no asset has the symbol USD"),
        (json!({"native": {"price": "1e3", "decimals": 18}}), "must be a decimal number"),
        (json!({"native": 3}), "--prices prices.json"),
    ] {
        fs::write(room.path("prices.json"), prices.to_string()).unwrap();
        refused(&plan("--ladder --prices prices.json"), 2, why);
    }
    let elsewhere = room.anvil.dev_accounts().unwrap()[7].address.clone();
    assert!(!plan(&format!("--ladder --to {elsewhere}")).status.success());
    assert!(!room.path("plan.json").exists());
}

/// What Keeper makes of `plan.json`, whose hot keys of these wallets open, by the bytes of their phrases.
fn hot(room: &Room, opens: &[(&str, u8)]) -> Vec<u8> {
    let plan = fs::read(room.path("plan.json")).unwrap();
    let mut plan = OpenedPlan::open(plan.as_slice()).unwrap().verify(&room.manifest, &Adapters::all()).unwrap();
    let mut file = SignatureWriter::begin(Vec::new(), KeyRole::Hot, plan.header_digest()).unwrap();
    while let Some(chunk) = plan.next_chunk().unwrap() {
        let secret = |name: &str| {
            let (_, byte) = opens.iter().find(|(known, _)| *known == name)?;
            Some(keys(*byte).secret(EIP155).unwrap())
        };
        let secrets: Vec<_> = chunk.wallets().iter().map(|it| secret(it.planned().id.as_str())).collect();
        file.chunk(SignedChunk::sign_hot(&chunk, &secrets).unwrap()).unwrap();
    }
    file.finish(plan.digest()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cooler_hot_and_cold_move_all_but_the_wallet_whose_hot_key_a_client_has() {
    let room = Room::new(&["alice", "clients", "bob"]).await;
    room.anvil.deploy_multicall().await.unwrap();
    for name in ["alice", "clients", "bob"] {
        room.fund(name, ETH).await;
    }
    let planned = room.plan("--ladder --owners hot,cold");
    assert_eq!((&planned["owners"], &planned["steps"]), (&json!(["hot", "cold"]), &json!(6)));
    fs::write(room.path("hot.sig"), hot(&room, &[("alice", 10), ("bob", 12)])).unwrap();
    for (name, role) in [("cool.sig", KeyRole::Cool), ("cold.sig", KeyRole::Cold)] {
        fs::write(room.path(name), station(&room, "plan.json", role)).unwrap();
    }
    let third = room.program(&format!("{BROADCAST} plan.json cool.sig cold.sig"));
    refused(&third, 2, "cool.sig: the plan is signed by hot and cold, and not by cool");
    assert_eq!(room.sent().await, 0);
    let output = room.program(&format!("{BROADCAST} plan.json cold.sig hot.sig"));
    refused(&output, 1, "1 of 3 transactions are not done");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for line in report["wallets"].as_array().unwrap() {
        let (status, message) = (line["status"].as_str().unwrap(), line["message"].as_str().unwrap_or_default());
        match line["id"].as_str().unwrap() {
            "clients" => {
                assert!(status == "failed" && message.contains("no signature of hot: its key needs the client's key"))
            }
            _ => assert_eq!((status, message), ("executed", "")),
        }
    }
    assert_eq!((room.balance(SAFE_PLACE).await, room.balance(room.address("clients")).await), (2 * ETH, ETH));
    // What hot could not sign is moved by the other two.
    assert_eq!(room.plan("--ladder --owners cold,cool")["owners"], json!(["cool", "cold"]));
    sign(&room);
    assert_eq!(statuses(&json_of(&room.program(&format!("{BROADCAST} plan.json cool.sig cold.sig")))), ["executed"]);
    assert_eq!(room.balance(SAFE_PLACE).await, 3 * ETH);
    for (words, why) in [("--ladder --owners cold,cold", "two different owners"), ("--owners hot,cold", "--ladder")] {
        let wrong = format!("evac plan --wallets wallets.json --manifest manifest.json --out other.json {words}");
        let output = room.program(&wrong);
        assert!(output.status.code() == Some(2) && crate::room::stderr(&output).contains(why), "{output:?}");
    }
}
