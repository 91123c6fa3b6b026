//! The worst day: hub, App, Keeper and the broker are gone, and a thief has what they had.

use std::{collections::BTreeMap, fs};

use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use custodies::Custody;

use crate::{
    account::account,
    assets::{Kind, prices},
    broadcasts::{Runs, broadcasts},
    chain::Chain,
    cooler::{Serving, Signed, Volume},
    miner::Miner,
    narrate::{act, chapter, say},
    place::{FLOAT, Place, custody, typed},
    report::Report,
    shell::Shell,
    thief::Thief,
    wallets::Holder,
};

/// Before the breach.
struct Before {
    chain: Chain,
    custody: Custody,
    holders: Vec<Holder>,
    payments: BTreeMap<Address, Signed>,
    volume: Volume,
    serving: Serving,
}

async fn before(place: &Place, count: usize) -> Result<Before> {
    chapter(&format!("Before: {count} wallets on a chain, a Vault, Cooler"));
    let chain = act("the chain: Safe, Multicall3, five assets", Chain::start()).await?;
    let custody = custody();
    let holders = Holder::all(count, place.seed, &chain.rules, &custody.manifest)?;
    act("money for everybody; half of the wallets exist", chain.holds(&holders)).await?;
    let (policy, folder) = (chain.assets.local_policy(), place.folder.join("cooler"));
    let (volume, serving) = Volume::new(place.vault.clone(), &custody, &policy, &folder).await?;
    act("Cooler registers every wallet", serving.register(&custody, &holders)).await?;
    let mut payments = BTreeMap::new();
    for holder in &holders {
        if let Some((amount, to)) = holder.payment {
            let signed = serving.pay(&chain.rules, holder, to, amount).await;
            payments.insert(holder.address, signed.with_context(|| format!("the payment of {}", holder.id))?);
        }
    }
    say(format!(
        "hot and cool have signed {} payments that are not sent yet, half of them for the thief",
        payments.len()
    ));
    Ok(Before { chain, custody, holders, payments, volume, serving })
}

/// All of it, and what came of it.
pub(crate) async fn rescue(place: &Place, count: usize) -> Result<Report> {
    let Before { chain, custody, holders, payments, volume, serving } = before(place, count).await?;
    let shell = Shell::new(&place.folder, &place.bin)?;
    let keeper = place.folder.join("keeper");
    fs::create_dir_all(&keeper)?;
    let keeper = [format!("--data-dir={}", keeper.display()), "--kube-dir=/nonexistent".to_owned()];
    shell.has_data_centres(&volume.place(), &keeper)?;
    let float = chain.account(FLOAT)?.clone();
    fs::write(shell.file("manifest.json"), custody.signed.to_json())?;
    fs::write(shell.file("gas.key"), &float.key)?;
    fs::write(shell.file("prices.json"), prices().to_string())?;
    let mut thief = Thief::new(&chain, &holders, payments)?;

    breach(place, &shell, &chain, &holders, &thief, serving).await?;

    chain.limits_rates();
    chain.stops_by_itself().await?;
    let (miner, first) = (Miner::default(), chain.newest().await?);
    let everybody = async {
        let done = rescuers(place, &shell, &chain, &custody, &volume, &holders, &miner).await?;
        miner.ends();
        Ok::<_, anyhow::Error>(done)
    };
    let (runs, ()) = tokio::try_join!(everybody, miner.mines(&chain, &float.address, &mut thief))?;
    ensure!(runs.begun >= first, "the chain went back");
    account(&chain, &holders, &thief, &runs, &float.address, &shell).await
}

/// The thief has everything that App and Keeper had; both signers are frozen.
async fn breach(
    place: &Place,
    shell: &Shell,
    chain: &Chain,
    holders: &[Holder],
    thief: &Thief<'_>,
    serving: Serving,
) -> Result<()> {
    chapter("Breach: a thief has all hot keys and App's keys; hub, App, Keeper and broker are gone");
    for role in ["cooler", "keeper"] {
        let freeze = place.page.command(&format!("kubectl -n custody-{role} exec {role}-0 -- /{role} freeze"), "")?;
        act(&freeze, shell.run(&format!("freeze-{role}"), &freeze, "")).await?;
    }
    let rich = holders.iter().find(|holder| holder.exists && holder.of(Kind::Eth) > 0 && holder.payment.is_none());
    let rich = rich.context("somebody has a wallet with the coin")?;
    let refused = thief.alone(rich).await?;
    say(format!("the thief takes a wallet with hot's signature alone: the Safe refuses ({refused})"));
    let asked = serving.pay(&chain.rules, rich, thief.address(), rich.of(Kind::Eth)).await;
    let why = asked.err().context("Cooler has signed for the thief")?.to_string();
    ensure!(why == "Frozen", "Cooler refuses the thief for another reason: {why}");
    say("the thief asks Cooler for its signature in App's name: Frozen");
    say(format!(
        "the thief will run in front of {} wallets with a payment, and create {} others",
        thief.pays(),
        thief.creates()
    ));
    Ok(())
}

/// Everybody who rescues, by the page; how the broadcaster ran.
async fn rescuers(
    place: &Place,
    shell: &Shell,
    chain: &Chain,
    custody: &Custody,
    volume: &Volume,
    holders: &[Holder],
    miner: &Miner,
) -> Result<Runs> {
    chapter("Rescue, by docs/runbooks/breach.md");
    let page = |beginning: &str| place.page.command(beginning, &chain.node.url());
    let run = async |name: &str, beginning: &str, typed: &str| {
        // A token of the kubelet's is never old.
        volume.place();
        let command = page(beginning)?;
        act(&command, shell.run(name, &command, typed)).await
    };
    run("export", "kubectl -n custody-cooler exec cooler-0 -- /cooler wallets export", "").await?;
    run("plan", "multisig evac plan", "").await?;
    run("cool", "kubectl -n custody-cooler exec -i cooler-0 -- /cooler evac sign", "").await?;
    run("cold", "multisig-paper evac sign --manifest", &typed(custody, &custody.cold)).await?;
    let by_cooler = fs::read(shell.file("cool.sig"))?;
    fs::rename(shell.file("cool.sig"), shell.file("cool-by-cooler.sig"))?;
    run("cool-paper", "multisig-paper evac sign --role cool", &typed(custody, &custody.cool)).await?;
    ensure!(by_cooler == fs::read(shell.file("cool.sig"))?, "the cool phrase signs otherwise than Cooler");
    say("the cool phrase at its station signs the same as Cooler");
    broadcasts(place, shell, chain, holders, miner).await
}
