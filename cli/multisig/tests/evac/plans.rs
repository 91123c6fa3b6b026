//! What a plan is made from: sources that are compared, nodes that lie, lag or go away, and what it says of itself.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use chain::ChainRules;
use custody::phrase::EIP155;
use evacuation::{ExportedWallet, WalletsExport};
use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use protocol::ops::{Attestation, ChainAddress, NamespaceKey, WalletRecord};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::room::{ETH, Room, SAFE_PLACE, chain, json_of, keys, refused, rules, statuses, stderr};

const PLAN: &str = "evac plan -o json --ladder --manifest manifest.json --out plan.json";

fn wallets(room: &Room) -> Vec<ExportedWallet> {
    WalletsExport::parse(&fs::read(room.path("wallets.json")).unwrap()).unwrap().wallets
}

fn write(room: &Room, name: &str, wallets: Vec<ExportedWallet>) {
    fs::write(room.path(name), WalletsExport::new(&room.manifest, wallets).to_json()).unwrap();
}

/// The record of the wallet of another hot key, which is right by itself.
fn other(room: &Room, name: &str, byte: u8) -> ExportedWallet {
    let hot = keys(byte).public_key(EIP155).unwrap().to_vec();
    let owners = room.manifest.owners(&chain(), &hot).unwrap();
    let address = rules().wallet(&owners, [0; 32]).unwrap().address;
    let hot = BTreeMap::from([(EIP155.to_owned(), hot)]);
    ExportedWallet::new(name.parse().unwrap(), &hot, [0; 32], [(chain(), address)].into())
}

/// App's database with these wallets, as App makes and fills it. It is in use as long as the connection is there.
fn app(room: &Room, wallets: &[ExportedWallet], newest: &[ExportedWallet]) -> Connection {
    let migrations = [
        include_str!("../../../../workloads/app/src/store/sqlite/schema.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/waits.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/claims.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/states.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/counters.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/recovery.sql"),
        include_str!("../../../../workloads/app/src/store/sqlite/callers.sql"),
    ];
    let db = Connection::open(room.path("app.sqlite")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(&migrations.concat()).unwrap();
    db.execute("INSERT INTO wallets (id, operation_seed) VALUES ('asked-for', x'00')", []).unwrap();
    wallets.iter().for_each(|wallet| attested(room, &db, wallet));
    db.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    newest.iter().for_each(|wallet| attested(room, &db, wallet));
    db
}

fn attested(room: &Room, db: &Connection, wallet: &ExportedWallet) {
    let hot = chain::hex::decode_prefixed(&wallet.hot_keys[EIP155]).unwrap();
    let address = &wallet.addresses[&chain()];
    let record = WalletRecord {
        custody_id: room.manifest.custody_id().as_bytes().to_vec(),
        wallet: wallet.id.to_string(),
        keys: vec![NamespaceKey { namespace: EIP155.to_owned(), public_key: hot.clone() }],
        salt: vec![0; 32],
        addresses: vec![ChainAddress { chain: chain().to_string(), address: address.clone() }],
        manifest_digest: room.manifest.digest_bytes().to_vec(),
    };
    let body = prost::Message::encode_to_vec(&record);
    let attestation = Attestation { body, signer: vec![1; 32], signature: vec![2; 64] };
    let attestation = prost::Message::encode_to_vec(&attestation);
    db.execute(
        "INSERT INTO wallets (id, operation_seed, hot_key, address, keeper_attestation) VALUES (?1, x'00', ?2, ?3, ?4)",
        rusqlite::params![wallet.id.as_str(), hot, address, attestation],
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_of_cooler_keeper_and_app_are_compared_and_all_of_them_move() {
    let room = Room::new(&["alice", "bob", "carol", "dave"]).await;
    for (name, wei) in [("alice", 1), ("bob", 2), ("carol", 4), ("dave", 8)] {
        room.fund(name, wei).await;
    }
    let [alice, bob, carol, dave] = &wallets(&room)[..] else { panic!("four wallets") };
    // Keeper's record of alice has the hot key of another wallet under alice's address.
    let damaged = ExportedWallet { hot_keys: bob.hot_keys.clone(), ..alice.clone() };
    write(&room, "cooler.json", vec![alice.clone(), bob.clone()]);
    write(&room, "keeper.json", vec![damaged.clone(), bob.clone(), carol.clone()]);
    let _running = app(&room, &[alice.clone(), bob.clone(), carol.clone()], std::slice::from_ref(dave));
    let before = fs::read(room.path("app.sqlite")).unwrap();
    let output = room.program(&format!("{PLAN} --wallets cooler.json --wallets keeper.json --wallets app.sqlite"));
    let planned = json_of(&output);
    assert_eq!((&planned["wallets"], &planned["totals"]), (&json!(4), &json!({"native": "15"})), "{planned:#}");
    let sources = json!([
        {"file": "cooler.json", "wallets": 2, "only": 0},
        {"file": "keeper.json", "wallets": 3, "only": 0},
        {"file": "app.sqlite", "wallets": 4, "only": 1},
    ]);
    assert_eq!(planned["sources"], sources, "also what App has not moved from its log yet");
    let named =
        "wallet alice: keeper.json differs from cooler.json: wallet alice on eip155:31337: the address of its keys";
    assert!(planned["differences"][0].as_str().unwrap().starts_with(named), "{planned:#}");
    assert!(stderr(&output).contains(named), "{output:?}");
    assert_eq!(fs::read(room.path("app.sqlite")).unwrap(), before);

    // A copy of it, alone.
    let copy = Connection::open(room.path("app.sqlite")).unwrap();
    copy.execute("VACUUM INTO ?1", [room.path("copy.sqlite").to_str().unwrap()]).unwrap();
    let planned = json_of(&room.program(&format!("{PLAN} --wallets copy.sqlite")));
    assert_eq!(planned["wallets"], 4);
    assert!(!room.path("copy.sqlite-wal").exists() && !room.path("copy.sqlite-shm").exists());

    // Two wallets of one name, each right by itself.
    write(&room, "keeper.json", vec![other(&room, "alice", 77)]);
    let both = room.program(&format!("{PLAN} --wallets cooler.json --wallets keeper.json"));
    refused(&both, 2, "1 wallets differ between the sources, and each record is right by its own keys");
    assert!(
        stderr(&both).contains("wallet alice: keeper.json differs from cooler.json: the hot key is 0x"),
        "{both:?}"
    );
    write(&room, "keeper.json", vec![damaged]);
    let why = "keeper.json: wallet alice on eip155:31337: the address of its keys is";
    refused(&room.program(&format!("{PLAN} --wallets keeper.json")), 2, why);
    refused(&room.program(&format!("{PLAN} --wallets cooler.json --wallets cooler.json")), 2, "named twice");
    fs::write(room.path("sealed"), br#"{"format":"multisig-backup","version":1}"#).unwrap();
    refused(&room.program(&format!("{PLAN} --wallets sealed")), 2, "open it with `app restore`");
    let other = Connection::open(room.path("other.sqlite")).unwrap();
    other.execute_batch("CREATE TABLE wallets (id TEXT)").unwrap();
    refused(&room.program(&format!("{PLAN} --wallets other.sqlite")), 2, "other.sqlite: this is not App's database");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_must_say_the_same_of_the_same_block() {
    let mut room = Room::new(&["alice", "bob"]).await;
    room.fund("alice", 5).await;
    let _: Value = room.anvil.rpc("evm_mine", json!([])).await.unwrap();
    let proxy = RpcProxy::start(&room.anvil.url()).await.unwrap();
    let both = format!("{PLAN} --wallets wallets.json --rpc {}", proxy.url());
    // One is behind: both have the block before.
    proxy.behind(Some(1));
    let planned = json_of(&room.program(&both));
    let newest: String = room.anvil.rpc("eth_blockNumber", json!([])).await.unwrap();
    let newest = u64::from_str_radix(newest.trim_start_matches("0x"), 16).unwrap();
    assert_eq!((&planned["block"], &planned["wallets"]), (&json!(newest - 1), &json!(1)), "{planned:#}");
    proxy.behind(None);
    fs::remove_file(room.path("plan.json")).unwrap();
    let alice = room.address("alice").to_lowercase();
    let asked = move |params: &Value| params[0].as_str().is_some_and(|of| of.to_lowercase() == alice);
    proxy.rule(Rule::on("eth_getBalance").when(asked).does(Fault::Answer(json!("0x0"))));
    let output = room.program(&both);
    refused(&output, 1, "wallet alice: the nodes ");
    assert!(stderr(&output).contains(&format!("disagree about the state of {} at block", room.address("alice"))));
    assert!(!room.path("plan.json").exists());
    room.rpc = proxy.url();
    refused(&room.program(&both), 2, "--rpc: node 2 is one of those before it; name another");
}

/// So many wallets of one hot key, by their salts: enough for several batches.
fn many(room: &Room, count: u32) -> Vec<ExportedWallet> {
    let hot = keys(10).public_key(EIP155).unwrap().to_vec();
    let owners = room.manifest.owners(&chain(), &hot).unwrap();
    let keys = BTreeMap::from([(EIP155.to_owned(), hot)]);
    let wallet = |number: u32| {
        let mut salt = [0; 32];
        salt[..4].copy_from_slice(&number.to_be_bytes());
        let address = rules().wallet(&owners, salt).unwrap().address;
        ExportedWallet::new(format!("user-{number:05}").parse().unwrap(), &keys, salt, [(chain(), address)].into())
    };
    (0..count).map(wallet).collect()
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

// The proxy serves while the program is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_was_killed_goes_on_and_asks_for_nothing_twice() {
    let mut room = Room::new(&["alice"]).await;
    room.anvil.deploy_multicall().await.unwrap();
    let wallets = many(&room, 2_500);
    write(&room, "many.json", wallets.clone());
    for (number, wei) in [(3, 3), (1_500, 50), (2_400, 700)] {
        room.anvil.fund(&wallets[number].addresses[&chain()], wei).await.unwrap();
    }
    let proxy = RpcProxy::start(&room.anvil.url()).await.unwrap();
    room.rpc = proxy.url();
    let stalled = wallets[1_500].addresses[&chain()].trim_start_matches("0x").to_lowercase();
    proxy.rule(Rule::on("eth_call").when(move |params| params.to_string().contains(&stalled)).does(Fault::Stall));
    let words = format!("{PLAN} --wallets many.json");
    let mut killed = room.command(&words).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let reading = room.path("plan.json.reading");
    while lines(&reading) < 3 {
        tokio::task::yield_now().await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!room.path("plan.json").exists());
    // A line that was being written.
    let mut torn = fs::read(&reading).unwrap();
    torn.extend_from_slice(b"0123456789abcdef {\"at\":");
    fs::write(&reading, torn).unwrap();
    proxy.clear();
    proxy.reset();
    let output = room.program(&words);
    let planned = json_of(&output);
    assert_eq!((&planned["read"], &planned["totals"]), (&json!(2_500), &json!({"native": "753"})), "{planned:#}");
    assert!(stderr(&output).contains("1500 wallets are in plan.json.reading already"), "{output:?}");
    assert!(proxy.count("eth_call") <= 4, "{:?}", proxy.counts());
    assert!(!reading.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_worth_it_stays_and_what_an_evacuation_comes_to_is_told_also_without_a_plan() {
    let room = Room::new(&["alice", "bob", "carol"]).await;
    let usd = room.anvil.deploy_token().await.unwrap();
    room.fund("alice", 3 * ETH).await;
    room.fund("bob", 1).await;
    room.anvil.fund_token(&usd, room.address("carol"), 900).await.unwrap();
    room.anvil.fund_token(&usd, room.address("alice"), 1_000).await.unwrap();
    let prices = json!({"ETH": {"price": "1000", "decimals": 18}, "USD": {"price": "1", "decimals": 0}});
    fs::write(room.path("prices.json"), prices.to_string()).unwrap();
    fs::write(room.path("assets.json"), json!([{"symbol": "USD", "contract": usd}]).to_string()).unwrap();
    let from = "--wallets wallets.json --assets assets.json --asset ETH=native";
    let planned = json_of(&room.program(&format!("{PLAN} {from} --prices prices.json --least-value 950")));
    assert_eq!(planned["totals"], json!({"ETH": (3 * ETH).to_string(), "USD": "1000"}), "{planned:#}");
    let stays = json!([{"reason": "belowLeastValue", "wallets": 2, "value": 900.0}]);
    let rounded = |stays: &Value| {
        let mut stays = stays.clone();
        stays[0]["value"] = json!(stays[0]["value"].as_f64().unwrap().round());
        stays
    };
    assert_eq!(rounded(&planned["notMoved"]), stays);
    assert_eq!(planned["leftOut"].as_array().unwrap().len(), 2);
    let outlook = &planned["outlook"]["now"];
    assert_eq!((&outlook["wallets"], outlook["movablePercent"].as_f64().unwrap().round()), (&json!(1), 82.0));
    let gas = 263_000 + 17_100 + 45_500 + 42_800;
    let price: u64 = outlook["gasPriceWei"].as_str().unwrap().parse().unwrap();
    assert_eq!((&outlook["gas"], &outlook["floatWei"]), (&json!(gas), &json!((gas * price).to_string())));
    let dearer = &planned["outlook"]["atTenTimes"];
    assert_eq!(dearer["floatWei"], json!((gas * price * 10).to_string()));

    // Without a least value, what costs more than it holds stays.
    let names = |room: &Room| fs::read_dir(room.folder.path()).unwrap().count();
    let before = names(&room);
    let status =
        |more: &str| json_of(&room.program(&format!("evac status -o json --manifest manifest.json {from} {more}")));
    let with_prices = status("--prices prices.json");
    assert_eq!(with_prices["notMoved"][0]["reason"], "belowCost", "{with_prices:#}");
    assert_eq!((&with_prices["wallets"], &with_prices["undeployed"]), (&json!(2), &json!(2)));
    let without = status("");
    let movable = without["outlook"]["now"]["movablePercent"].as_f64().unwrap();
    assert_eq!((&without["wallets"], movable.round()), (&json!(3), 100.0));
    assert_eq!(names(&room), before, "nothing is written");
    let text = room.program(&format!("evac status --manifest manifest.json {from}"));
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("3 of 3 wallets would move") && text.contains("50/90/99/100 % of it in"), "{text}");

    let refuse = |more: &str, why: &str| {
        refused(&room.program(&format!("evac plan --manifest manifest.json --out other {from} {more}")), 2, why);
    };
    refuse("--ladder --least-value 5", "--least-value: it needs the prices");
    refuse("--prices prices.json", "--prices and --least-value put a plan of ladders in order; add --ladder");
    refuse(
        "--ladder --asset USDT=0x00000000000000000000000000000000000000bb --asset USD=0x00000000000000000000000000000000000000cc",
        "--assets assets.json, USD: USD is 0x",
    );
    fs::write(room.path("assets.json"), "[{}]").unwrap();
    refuse("--ladder", "--assets assets.json: missing field `symbol`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_valuable_wallets_are_created_before_they_are_needed() {
    let room = Room::new(&["alice", "bob", "carol"]).await;
    let words = "evac predeploy -o json --wallets wallets.json --manifest manifest.json --gas-key gas.key";
    refused(&room.program(words), 2, "has no Multicall3");
    room.anvil.deploy_multicall().await.unwrap();
    for (name, wei) in [("alice", 1), ("bob", ETH), ("carol", 2 * ETH)] {
        room.fund(name, wei).await;
    }
    let report = json_of(&room.program(&format!("{words} --most 2")));
    assert_eq!(report, json!({"created": 2, "transactions": 1, "left": 1}));
    let mut codes = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let code: String = room.anvil.rpc("eth_getCode", json!([room.address(name), "latest"])).await.unwrap();
        codes.push(code.len() > 2);
    }
    assert_eq!(codes, [false, true, true]);
    assert_eq!(json_of(&room.program(&format!("{words} --most 2")))["created"], 1, "what exists is passed over");
    assert_eq!(json_of(&room.program(words)), json!({"created": 0, "transactions": 0, "left": 0}));
    assert_eq!(room.sent().await, 2);
    room.plan("");
    room.sign();
    assert_eq!(statuses(&json_of(&room.broadcast())), ["executed"; 3]);
    assert_eq!(room.balance(SAFE_PLACE).await, 3 * ETH + 1);
}
