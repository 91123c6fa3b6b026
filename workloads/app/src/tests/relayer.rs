//! The relayer as payments meet it: many wallets at once, fees that rise, a payee that burns gas.

use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use serde_json::{Value, json};

use super::{
    home::{ETH, SHOP},
    running::RunningApp,
    world::World,
};

const WALLETS: usize = 100;
/// A depth at which payments are final on a chain of 12 s blocks.
const DEPTH: u64 = 12;
/// Requests that 16 at a time, each of 50 ms, can be made of a node between two blocks of 12 s.
const REQUESTS: u64 = 16 * 12_000 / 50;
/// Requests that a payment may take, its wallet's creation included, which takes nearly as many.
const MOST_EACH: u64 = 12;
const GWEI: u128 = 1_000_000_000;

/// Transactions of the first account that sends that wait to be mined.
async fn pending(world: &World) -> usize {
    let pool: Value = world.anvil.rpc("txpool_status", json!([])).await.unwrap();
    let count = |kind: &str| usize::from_str_radix(pool[kind].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    count("pending") + count("queued")
}

async fn all_pending(world: &World) {
    while pending(world).await < WALLETS {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn asked(proxy: &RpcProxy) -> u64 {
    proxy.counts().values().sum()
}

#[tokio::test]
async fn a_hundred_wallets_that_pay_at_once_are_paid_within_two_finality_depths() {
    let world = World::new().await;
    world.anvil.deploy_multicall().await.unwrap();
    let proxy = RpcProxy::start(&world.anvil.url()).await.unwrap();
    let app = world
        .start_with(|config| {
            config["chain"]["nodes"] = json!([proxy.url()]);
            config["chain"]["finality"] = json!({"depth": DEPTH});
        })
        .await;
    let wallets: Vec<String> = (0..WALLETS).map(|number| format!("user-{number}")).collect();
    for id in &wallets {
        let (status, wallet) = app.post("/wallets", None, json!({"id": id})).await;
        assert_eq!(status, 201, "{wallet:#}");
        world.set_balance(wallet["address"].as_str().unwrap(), ETH).await;
    }
    world.automine(false).await;
    proxy.rule(Rule::any().does(Fault::Delay(std::time::Duration::from_millis(50))));
    let (start, begun) = (world.block_number().await, asked(&proxy));
    let mut before = begun;
    let mut ids = Vec::new();
    for id in &wallets {
        ids.push(app.pay(id, id, SHOP, "ETH", 1).await);
    }
    // Every wallet's deployment is in one block, every payment in the next.
    for step in ["deployments", "payments"] {
        all_pending(&world).await;
        let now = asked(&proxy);
        assert!(now - before <= REQUESTS, "{} requests for {step} between two blocks", now - before);
        before = now;
        world.mine().await;
    }
    for id in &ids {
        app.until(id, |payment| payment["tx"].is_string() || payment["status"] == "confirmed").await;
    }
    let included = world.block_number().await;
    for _ in 0..DEPTH {
        world.mine().await;
    }
    for id in &ids {
        assert_eq!(app.ended(id).await["status"], "confirmed");
    }
    assert!(included + DEPTH - start <= 2 * DEPTH, "{included} after {start}");
    let each = (asked(&proxy) - begun) / WALLETS as u64;
    assert!(each <= MOST_EACH, "{each} requests for each wallet and its payment: {:#?}", proxy.counts());
    assert_eq!(world.balance(SHOP).await, WALLETS as u128);
}

async fn metric(app: &RunningApp, name: &str) -> String {
    let text = app.text("/metrics").await;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

async fn spike(world: &World, gwei: u128) {
    let fee = format!("{:#x}", gwei * GWEI);
    let _: Value = world.anvil.rpc("anvil_setNextBlockBaseFeePerGas", json!([fee])).await.unwrap();
    world.mine().await;
}

#[tokio::test]
async fn fees_beyond_the_ceiling_are_named_and_waited_out_and_a_payee_that_burns_gas_is_not_paid() {
    let world = World::new().await;
    let app = world.start_with(|config| config["relayer"] = json!({"maxFeePerGas": 50, "maxGas": 500_000})).await;
    for id in ["alice", "bob", "carol"] {
        world.funded(&app, id).await;
        app.paid(&format!("{id}-deployed"), id, 1).await;
    }
    // It counts down from 65,535 before it takes the coins: 1.7 million gas.
    let burner = "0x3333333333333333333333333333333333333333";
    let code = "0x6200ffff5b600190038060045700";
    let _: Value = world.anvil.rpc("anvil_setCode", json!([burner, code])).await.unwrap();
    let burnt = app.ended(&app.pay("burnt", "carol", burner, "ETH", 7).await).await;
    assert_eq!((&burnt["status"], &burnt["reason"]), (&json!("failed"), &json!("GasOverCeiling")), "{burnt:#}");
    assert!(burnt["message"].as_str().unwrap().contains("the configured ceiling is 500000"), "{burnt:#}");
    assert_eq!(world.balance(burner).await, 0);

    world.automine(false).await;
    let alice = app.pay("one", "alice", SHOP, "ETH", 7).await;
    while pending(&world).await < 1 {
        tokio::task::yield_now().await;
    }
    // Passed at once, and every block since; the ceiling stops what would replace it.
    let says =
        |words: &'static str| move |payment: &Value| payment["message"].as_str().unwrap_or_default().contains(words);
    let bob = loop {
        spike(&world, 200).await;
        if metric(&app, "app_relayer_stuck").await == "1" {
            break app.pay("two", "bob", SHOP, "ETH", 7).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let stuck = app.until(&alice, says("the configured ceiling of 50000000000 leaves no room")).await;
    assert_eq!(stuck["status"], "broadcast", "{stuck:#}");
    app.until(&bob, says("the configured ceiling is 50000000000; sent when fees have fallen")).await;
    spike(&world, 10).await;
    world.automine(true).await;
    spike(&world, 10).await;
    for id in [&alice, &bob] {
        assert_eq!(app.ended(id).await["status"], "confirmed");
    }
    assert_eq!(world.balance(SHOP).await, 3 + 14);
}
