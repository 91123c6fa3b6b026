//! Very many wallets without a chain: planned, signed by Cooler while it freezes and settles, and by both papers. A test
//! node does not hold a million Safes, so one stand-in answers what is asked about them; it is the only one.

mod synthetic;

use std::{fs, sync::Arc};

use anyhow::{Context, Result, ensure};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custodies::CHAIN;
use custody::phrase::Phrase;
use evacuation::stream::OpenedPlan;
use harness::{
    Options,
    evm::Anvil,
    rpc_proxy::{RpcProxy, Rule},
};
use serde_json::json;

use self::synthetic::Wallets;
use crate::{
    chain::NUMBER,
    cooler::Volume,
    narrate::{act, chapter, say},
    place::{Place, custody, typed},
    report::{Sim, rounded},
    shell::{Ran, Shell},
    wallets::Holder,
};

/// From so many wallets on it is the full size, for which the bounds hold.
const FULL: usize = 1_000_000;
const MIB: u64 = 1 << 20;
/// Bytes.
const MOST_PLAN: u64 = 64 * MIB;
const MOST_SIGNATURES: u64 = 128 * MIB;
/// Seconds of a core: a goal.
const MOST_WORK: f64 = 150.0;
/// MiB.
const MOST_STATION: u64 = 256;
const MOST_PLANNER: u64 = 512;

/// What each process took.
struct Taken {
    plan: Ran,
    cool: Ran,
    cool_paper: Ran,
    cold: Ran,
}

/// How often Cooler did something else while it signed, and the longest of it, seconds.
#[derive(Debug, Default)]
struct Meanwhile {
    freezes: usize,
    settlements: usize,
    longest: f64,
}

/// All of it.
pub(crate) async fn sim(place: &Place, count: usize) -> Result<Sim> {
    chapter(&format!("Without a chain: {count} wallets, one asset, two rungs"));
    let folder = place.folder.join("sim");
    let shell = Shell::new(&folder, &place.bin)?;
    let custody = custody();
    fs::write(shell.file("manifest.json"), custody.signed.to_json())?;
    fs::write(shell.file("prices.json"), json!({"ETH": {"price": "3000.5", "decimals": 18}}).to_string())?;
    let (seed, manifest, export) = (place.seed, custody.manifest.clone(), shell.file("wallets.json"));
    let made = tokio::task::spawn_blocking(move || Wallets::export(count, seed, &manifest, &export));
    let wallets = Arc::new(act("the wallets' keys, addresses and export", async { made.await? }).await?);

    let anvil = Anvil::start(NUMBER, Options::default()).await?;
    anvil.deploy_multicall().await?;
    let node = RpcProxy::start(&anvil.url()).await?;
    node.rule(Rule::on("eth_call").does(wallets.clone().call()));
    node.rule(Rule::on("eth_getBalance").does(wallets.balance()));

    // One wallet that Cooler knows, so that there is something to settle.
    let policy = custodies::local_policy();
    let (volume, serving) = Volume::new(place.vault.clone(), &custody, &policy, &folder.join("cooler")).await?;
    let rules = EvmSafe::new(CHAIN.parse()?)?;
    let known = Holder::all(1, place.seed, &rules, &custody.manifest)?;
    serving.register(&custody, &known).await?;
    drop(serving);
    shell.has_data_centres(&volume.place(), &[])?;

    let command = |beginning: &str| place.page.command(beginning, &node.url());
    let plan = command("multisig evac plan")?;
    let plan = act("plan (multisig)", shell.run("plan", &plan, "")).await?;
    let (cool, meanwhile) = act("cool signs (cooler)", signs(&shell, place, &volume, &known[0])).await?;
    fs::rename(shell.file("cool.sig"), shell.file("cool-by-cooler.sig"))?;
    let station = async |name: &str, beginning: &str, phrase: &Phrase| {
        let (command, typed) = (command(beginning)?, typed(&custody, phrase));
        act(&format!("{name} signs (multisig-paper)"), shell.run(name, &command, &typed)).await
    };
    let cool_paper = station("cool", "multisig-paper evac sign --role cool", &custody.cool).await?;
    let cold = station("cold", "multisig-paper evac sign --manifest", &custody.cold).await?;
    let taken = Taken { plan, cool, cool_paper, cold };
    let planned = OpenedPlan::open(fs::File::open(shell.file("evacuation.plan"))?)?;
    let planned = planned.verify(&custody.manifest, &Adapters::all())?.header().wallets;
    ensure!(planned == count as u64, "{planned} of {count} wallets are in the plan");
    told(&shell, count, &taken, &meanwhile)
}

/// Cooler signs, and meanwhile freezes and settles by the admin's commands on the same store.
async fn signs(shell: &Shell, place: &Place, volume: &Volume, known: &Holder) -> Result<(Ran, Meanwhile)> {
    let command = place.page.command("kubectl -n custody-cooler exec -i cooler-0 -- /cooler evac sign", "")?;
    let at = volume.place().join(" ");
    let mut signing = shell.start("cool", &command, "").await?;
    let mut meanwhile = Meanwhile::default();
    let mut number = 0_usize;
    loop {
        // Each must succeed beside the signing.
        let freeze = format!("cooler freeze --wallet other-{number} --reason meanwhile {at}");
        let froze = shell.run("freeze", &freeze, "").await?;
        let settlement = json!([{
            "wallet": known.id, "chain": CHAIN, "nonce": number, "digest": format!("{number:064x}"),
        }]);
        let settle = format!("cooler settle - {at}");
        let settled = shell.run("settle", &settle, &settlement.to_string()).await?;
        meanwhile.longest = meanwhile.longest.max(froze.seconds).max(settled.seconds);
        if let Some(ran) = signing.look().await? {
            ensure!(ran.code == Some(0), "Cooler does not sign:\n{}", ran.said);
            return Ok((ran, meanwhile));
        }
        (meanwhile.freezes, meanwhile.settlements) = (meanwhile.freezes + 1, meanwhile.settlements + 1);
        number += 1;
    }
}

/// The figures, and whether they are as good as they must be.
fn told(shell: &Shell, count: usize, taken: &Taken, meanwhile: &Meanwhile) -> Result<Sim> {
    let bytes =
        |name: &str| fs::metadata(shell.file(name)).with_context(|| format!("there is no {name}")).map(|of| of.len());
    let same = fs::read(shell.file("cool.sig"))? == fs::read(shell.file("cool-by-cooler.sig"))?;
    ensure!(same, "the cool phrase signs otherwise than Cooler");
    let (plan_bytes, signature_bytes) = (bytes("evacuation.plan")?, bytes("cool.sig")?.max(bytes("cold.sig")?));
    let Taken { plan, cool, cool_paper, cold } = taken;
    let all = [
        ("plan", plan, MOST_PLANNER),
        ("Cooler", cool, MOST_STATION),
        ("cool paper", cool_paper, MOST_STATION),
        ("cold paper", cold, MOST_STATION),
    ];
    for (name, ran, _) in &all {
        say(format!("{name:<10} {:>7.1} s, {:>7.1} s of a core, {:>4} MiB", ran.seconds, ran.work, ran.rss_mib));
    }
    say(format!("the plan has {plan_bytes} bytes, the largest signature file {signature_bytes}"));
    let Meanwhile { freezes, settlements, longest } = meanwhile;
    say(format!(
        "while it signed, Cooler froze {freezes} times and settled {settlements}; the longest took {longest:.2} s"
    ));
    ensure!(*freezes > 0 && *settlements > 0, "Cooler neither froze nor settled while it signed");
    if count >= FULL {
        ensure!(plan_bytes <= MOST_PLAN, "the plan has {plan_bytes} bytes instead of at most {MOST_PLAN}");
        ensure!(
            signature_bytes <= MOST_SIGNATURES,
            "a signature file has {signature_bytes} bytes, at most {MOST_SIGNATURES}"
        );
        for (name, ran, most) in &all {
            ensure!(ran.rss_mib <= *most, "{name} holds {} MiB of memory instead of at most {most}", ran.rss_mib);
        }
        // Said and not refused: how long a core takes depends on what else the machine does.
        for (name, ran, _) in all[1..].iter().filter(|(_, ran, _)| ran.work > MOST_WORK) {
            say(format!("the goal is missed: {name} takes {:.0} s of a core instead of {MOST_WORK}", ran.work));
        }
    }
    Ok(Sim {
        wallets: count,
        plan_seconds: rounded(plan.seconds),
        cool_seconds: rounded(cool.seconds),
        cold_seconds: rounded(cold.seconds),
        plan_bytes,
        signature_bytes,
        rss_mib: all.iter().map(|(_, ran, _)| ran.rss_mib).max().unwrap_or_default(),
    })
}
