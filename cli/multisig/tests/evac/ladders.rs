//! Plans of ladders: every asset at every nonce that can still be live.

use std::fs;

use chain::{ChainRules, KeyRole};
use chain_adapters::Adapters;
use custody::phrase::EIP155;
use evacuation::{
    ExportedAsset, ExportedPayment, WalletsExport,
    stream::{OpenedPlan, SignedChunk},
};
use serde_json::json;

use crate::room::{ETH, Room, SAFE_PLACE, chain, keys, refused, rules};

/// What both stations make of `plan.json`: each transaction's nonce, amount and call.
fn rungs(room: &Room) -> Vec<(u64, String, chain::Call)> {
    let plan = fs::read(room.path("plan.json")).unwrap();
    let mut plan = OpenedPlan::open(plan.as_slice()).unwrap().verify(&room.manifest, &Adapters::all()).unwrap();
    let mut rungs = Vec::new();
    while let Some(chunk) = plan.next_chunk().unwrap() {
        let stations = [(KeyRole::Cool, 2), (KeyRole::Cold, 3)].map(|(role, byte)| {
            let signed = SignedChunk::sign(&chunk, role, &keys(byte).secret(EIP155).unwrap()).unwrap();
            (role, chunk.signatures(role, &signed).unwrap())
        });
        for (place, step) in chunk.steps().unwrap().iter().enumerate() {
            let both = stations.each_ref().map(|(role, all)| (*role, all[place].clone()));
            let call = rules().assemble(step.unsigned(), step.wallet().described(), &both).unwrap();
            rungs.push((step.rung().nonce, step.rung().amount.to_string(), call));
        }
    }
    rungs
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_plan_of_ladders_there_is_a_rung_though_a_payment_was_sent_in_front() {
    let room = Room::new(&["alice", "poor"]).await;
    room.fund("alice", 3 * ETH).await;
    let mut export = WalletsExport::parse(&fs::read(room.path("wallets.json")).unwrap()).unwrap();
    let amount = ETH.into();
    let payment =
        ExportedPayment { chain: chain(), nonce: 0, asset: "ETH".into(), contract: Some("native".into()), amount };
    export.version = 2;
    export.assets = vec![ExportedAsset { chain: chain(), symbol: "ETH".into(), contract: "native".into() }];
    export.wallets[0].outstanding = vec![payment];
    export.wallets[0].highest = [(chain(), 0)].into();
    fs::write(room.path("wallets.json"), export.to_json()).unwrap();

    let planned = room.plan("--ladder");
    assert_eq!((&planned["version"], &planned["wallets"], &planned["steps"]), (&json!(2), &json!(1), &json!(3)));
    assert_eq!(planned["totals"], json!({"ETH": (3 * ETH).to_string()}));
    // App, or who took it, sends the payment that was signed before the freeze.
    room.pay("alice", 10, 0, ETH).await;
    let rungs = rungs(&room);
    let (_, _, call) = rungs.into_iter().find(|rung| (rung.0, &rung.1) == (1, &(2 * ETH).to_string())).unwrap();
    room.call(call).await;
    assert_eq!((room.balance(SAFE_PLACE).await, room.balance(room.address("alice")).await), (2 * ETH, 0));
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
