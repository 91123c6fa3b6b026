//! Money: payments with hot and cool, refusals that leave the wallet usable, evacuation with cool and cold.

use std::{fs, time::Duration};

use acceptance::{ETH, Ground, SAFE_DESTINATION, World, until};
use anyhow::{Context, Result};
use playbook::{evacuation, stations};
use serde_json::{Value, json};
use signer::store::{FILE, KEEP_MS};

const SHOP: &str = "0x00000000000000000000000000000000005400ff";
/// Longest wait for a signer that was started again.
const READY: Duration = Duration::from_secs(60);

/// Keeper's local policy lets 2 ETH pass, Cooler's 1 ETH: an amount between shows Cooler deciding for itself.
async fn world() -> Result<World> {
    World::start(2 * ETH, ETH).await
}

async fn pay(world: &World, key: &str, wallet: &str, wei: u128) -> Result<Value> {
    let id = world.api.pay(key, wallet, SHOP, "ETH", &wei.to_string()).await?;
    world.api.await_end(&id).await
}

async fn funded_wallet(world: &World, id: &str, wei: u128) -> Result<String> {
    let wallet = world.api.create_wallet(id).await?;
    let address = wallet["address"].as_str().context("a wallet has an address")?.to_owned();
    world.ground.anvil.fund(&address, wei).await?;
    Ok(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_and_cool_pay_and_cool_and_cold_evacuate() -> Result<()> {
    let world = world().await?;
    let anvil = &world.ground.anvil;

    // A payment, from a Safe that gets its code on the way.
    let alice = funded_wallet(&world, "alice", 10 * ETH).await?;
    let paid = pay(&world, "order-1", "alice", ETH / 2).await?;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(paid["signers"], json!(["hot", "cool"]));
    assert_eq!(anvil.balance(SHOP).await?, ETH / 2);

    // The same idempotency key pays once; another body under it is a conflict.
    let again = pay(&world, "order-1", "alice", ETH / 2).await?;
    assert_eq!(again["id"], paid["id"]);
    let other = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "1"});
    assert_eq!(world.api.post("/payments", Some("order-1"), other).await?.0, 409);
    assert_eq!(anvil.balance(SHOP).await?, ETH / 2);

    // Each signer refuses by its own local policy, a payment beyond the balance reverts in simulation, and after each of them the
    // wallet pays on.
    let mut expected = ETH / 2;
    funded_wallet(&world, "poor", ETH / 100).await?;
    for (wallet, key, wei, next) in [
        ("alice", "over-keeper", 3 * ETH, ETH / 4),
        ("alice", "over-cooler", ETH + 1, ETH / 4),
        ("poor", "over-balance", ETH, ETH / 200),
    ] {
        let refused = pay(&world, key, wallet, wei).await?;
        assert!(["refused", "failed"].contains(&refused["status"].as_str().unwrap_or_default()), "{refused:#}");
        assert!(refused["reason"].is_string(), "{refused:#}");
        let paid = pay(&world, &format!("after-{key}"), wallet, next).await?;
        assert_eq!(paid["status"], "confirmed", "{paid:#}");
        expected += next;
        assert_eq!(anvil.balance(SHOP).await?, expected, "{key}");
    }

    // From user to user: the wallet is named, App resolves it, and both signers find it in their own registries.
    let poor = world.api.get("/wallets/poor").await?.1;
    let before = anvil.balance(poor["address"].as_str().context("an address")?).await?;
    let order = json!({"wallet": "alice", "toWallet": "poor", "asset": "ETH", "amount": "1000"});
    let (status, accepted) = world.api.post("/payments", Some("to-poor"), order).await?;
    assert_eq!(status, 202, "{accepted:#}");
    let paid = world.api.await_end(accepted["id"].as_str().context("an id")?).await?;
    assert_eq!((&paid["status"], &paid["to"]), (&json!("confirmed"), &poor["address"]), "{paid:#}");
    assert_eq!(anvil.balance(poor["address"].as_str().context("an address")?).await?, before + 1000);

    // The worst day: hub, App, Keeper and NATS are gone. Bob never paid, so his wallet has no code yet.
    let bob = funded_wallet(&world, "bob", 3 * ETH).await?;
    let World { ground, kubelet_a, kubelet_b, mut operator, mut app, .. } = world;
    operator.kill();
    app.kill();
    kubelet_a.pause("keeper", true)?;
    ground.nats.stop().await;
    ground.hub_cluster.stop().await;
    ground.dc_a.stop().await;

    let room = ground.folder.path().join("evacuation");
    let rpc = ground.anvil.url();
    let cooler = async |args: &[&str], stdin: &str| -> Result<String> {
        let output = kubelet_b.exec("cooler", args, stdin.as_bytes()).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let wallets = cooler(&["wallets", "export"], "").await?;
    let plan = evacuation::plan(&ground.commands, &room, &ground.ceremonies, &wallets, &rpc).await?;
    let bundle = cooler(&["evac", "sign"], &plan).await?;
    evacuation::sign_cold(&ground.commands, &room, &ground.ceremonies, &bundle).await?;
    let gas_key = ground.anvil.dev_accounts()?[1].key.clone();
    let poor = ETH / 100 - ETH / 200 + 1000;
    let before = ground.anvil.balance(&alice).await? + ground.anvil.balance(&bob).await? + poor;
    let report = evacuation::broadcast(&ground.commands, &room, &rpc, &gas_key).await?;
    assert_eq!(ground.anvil.balance(&alice).await?, 0, "{report:#}");
    assert_eq!(ground.anvil.balance(&bob).await?, 0, "{report:#}");
    assert_eq!(ground.anvil.balance(SAFE_DESTINATION).await?, before);

    // Stopped and started again, it sends nothing twice.
    evacuation::broadcast(&ground.commands, &room, &rpc, &gas_key).await?;
    assert_eq!(ground.anvil.balance(SAFE_DESTINATION).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payment_waits_for_both_time_locks_and_is_paid_with_the_client_key_that_app_keeps() -> Result<()> {
    let ground = Ground { client_keys: true, time_lock_seconds: Some(5), ..Ground::start().await? };
    let mut world = World::on(ground, ETH, ETH).await?;
    funded_wallet(&world, "alice", 10 * ETH).await?;
    let large = (3 * ETH / 4).to_string();
    let id = world.api.pay("large", "alice", SHOP, "ETH", &large).await?;
    let waiting = world.api.await_status(&id, &["waiting"]).await?;
    assert!(waiting["notBefore"].is_string(), "{waiting:#}");
    assert_eq!(waiting["signers"], json!([]));

    world.app.kill();
    world.app.start_again()?;
    world.api.await_ready().await?;
    let paid = world.api.await_end(&id).await?;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    let paid = pay(&world, "small", "alice", ETH / 2).await?;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!(world.ground.anvil.balance(SHOP).await?, 3 * ETH / 4 + ETH / 2);
    app_is_lost_and_restored_and_pays_nothing_twice(&mut world).await
}

/// What was signed is attested as settled, and the backup is older than what the signers still keep: all of their stored
/// replies are pruned.
async fn a_month_passes_at_both_signers(world: &World) -> Result<()> {
    for (kubelet, role) in [(&world.kubelet_a, "keeper"), (&world.kubelet_b, "cooler")] {
        let run = async |words: &[&str], input: String| -> Result<String> {
            let output = kubelet.exec(role, words, input.as_bytes()).await?;
            anyhow::ensure!(output.status.success(), "{role}: {}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8(output.stdout)?)
        };
        let history = run(&["history", "export"], String::new()).await?;
        let (document, _) = history.trim_end().rsplit_once('\n').context("a history ends with its signature")?;
        let document: Value = serde_json::from_str(document)?;
        let wallets = document["wallets"].as_array().context("wallets")?.iter();
        let signed =
            wallets.flat_map(|it| it["signed"].as_array().into_iter().flatten().map(move |signed| (it, signed)));
        let settled = signed.map(|(it, signed)| {
            json!({"wallet": it["wallet"], "chain": it["chain"], "claim": signed["claims"][0], "digest": signed["digest"]})
        });
        run(&["settle", "-"], settled.collect::<Value>().to_string()).await?;

        let connection = rusqlite::Connection::open(kubelet.host_path(role, "/data")?.join(FILE))?;
        let month = i64::try_from(KEEP_MS / 1000)? + 60;
        connection.execute("UPDATE operations SET recorded_at = recorded_at - ?1", [month])?;
        // A signer begins to prune when it starts, and again every hour.
        kubelet.kill(role)?;
        let count = |what: &str| -> Result<i64> {
            Ok(connection.query_row(&format!("SELECT count(*) FROM operations WHERE {what}"), [], |row| row.get(0))?)
        };
        until(async || {
            let (replies, pruned) = (count("result IS NOT NULL")?, count("outcome = 'Done'")?);
            // A wallet and its payments; the newest reply may not have been kept when it was killed.
            anyhow::ensure!(replies == 0 && pruned >= 3, "{role} keeps {replies} replies and has pruned {pruned}");
            Ok(())
        })
        .await?;
        kubelet.ready(role, READY).await?;
    }
    Ok(())
}

/// The drill of the runbook: back up, pay, lose everything that App alone has, restore, ask again.
async fn app_is_lost_and_restored_and_pays_nothing_twice(world: &mut World) -> Result<()> {
    let (commands, room) = (world.ground.commands.clone(), world.owner.folder.clone());
    let key = stations::backup_key(&commands).await?;
    let backup = world.ground.folder.path().join("app.backup");
    // App runs on meanwhile.
    let backing_up = commands.command("app").words("backup --config").arg(room.join("config.json"));
    backing_up.arg("--to").arg(&key.recipient).arg("--out").arg(&backup).succeed().await?;
    let phrase = || format!("{}\n", key.phrase);
    let verified = commands.command("app").words("verify --in").arg(&backup).stdin(phrase()).succeed().await?.json()?;
    assert_eq!(verified["database"]["wallets"], 1, "{verified:#}");
    let before = world.ground.anvil.balance(SHOP).await?;
    let paid = pay(world, "lost", "alice", ETH / 8).await?;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");

    world.app.kill();
    a_month_passes_at_both_signers(world).await?;
    for lost in ["data", "identity"] {
        fs::remove_dir_all(room.join(lost))?;
    }
    fs::remove_file(room.join("relayer.key"))?;
    let restored = room.join("restored");
    let wrong = commands.command("app").words("restore --in").arg(&backup).arg("--dir").arg(&restored);
    wrong.stdin(format!("{}\n", world.ground.ceremonies.cool.phrase)).refuse("type the phrase of that key").await?;
    let restoring = commands.command("app").words("restore --in").arg(&backup).arg("--dir").arg(&restored);
    let said = restoring.stdin(phrase()).succeed().await?.json()?;
    assert_eq!(said["epoch"], 2, "{said:#}");
    fs::create_dir(room.join("data"))?;
    for (from, to) in [("app.sqlite", "data/app.sqlite"), ("identity", "identity"), ("relayer.key", "relayer.key")] {
        fs::rename(restored.join(from), room.join(to))?;
    }
    world.app.start_again()?;
    world.api.await_ready().await?;

    // The backup knows nothing of it; both signers do.
    let (status, shown) = world.api.get(&format!("/payments/{}", paid["id"].as_str().unwrap_or_default())).await?;
    assert_eq!((status, &shown["status"], &shown["tx"]), (200, &json!("confirmed"), &paid["tx"]), "{shown:#}");
    let again = pay(world, "lost", "alice", ETH / 8).await?;
    assert_eq!((&again["id"], &again["tx"]), (&paid["id"], &paid["tx"]), "{again:#}");
    assert_eq!(world.ground.anvil.balance(SHOP).await?, before + ETH / 8);
    // The wallet's client key came with the backup.
    let next = pay(world, "next", "alice", ETH / 8).await?;
    assert_eq!(next["status"], "confirmed", "{next:#}");
    assert_eq!(world.ground.anvil.balance(SHOP).await?, before + ETH / 4);
    Ok(())
}
