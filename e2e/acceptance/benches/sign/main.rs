//! `make bench-sign`: signatures per second, on one machine, in one run, beside what others offer: App's request to a
//! verified, durable answer, for Keeper and for Keeper and Cooler; Vault Transit's bare ed25519 signature; an echo over
//! the same broker; the library alone. Everything shares the machine's cores with its client, so ratios travel and
//! absolute figures don't.

mod figures;
mod ours;
mod rivals;
mod steps;

use acceptance::{
    ETH, World,
    load::{Cpu, Load},
};
use anyhow::Result;

use figures::Figures;

/// Requests at the same time, and how many in all. A batch has [`ours::BATCH`] signatures.
const LOADS: [(&str, Load); 4] = [
    ("c1", Load { concurrency: 1, requests: 1_000 }),
    ("c16", Load { concurrency: 16, requests: 8_000 }),
    ("c64", Load { concurrency: 64, requests: 16_000 }),
    ("batch100", Load { concurrency: 4, requests: 160 }),
];

#[tokio::main]
async fn main() -> Result<()> {
    eprintln!("bench-sign: bringing up three API servers, two Vaults, NATS and an EVM node");
    let mut world = World::start(ETH, ETH).await?;
    world.app.kill();
    let caller = world.caller().await?;
    eprintln!("bench-sign: making {} wallets", ours::WALLETS);
    let wallets = ours::Wallets::create(caller).await?;
    let transit = rivals::Transit::set_up(&world.ground.vault_a).await?;
    let echo = rivals::Echo::set_up(&world.ground.nats).await?;

    let mut figures = Figures::default();
    for (name, load) in LOADS {
        let batched = name == "batch100";
        eprintln!("bench-sign: {name}");
        let cpu = Cpu::of(&world.ground.commands.bin.join("keeper"))?;
        let keeper = if batched { wallets.batches(load).await? } else { wallets.keeper(load).await? };
        figures.add("keeper", name, keeper, Some(cpu.since()?));
        if !batched {
            figures.add("keeper + cooler", name, wallets.both(load).await?, None);
            figures.add("broker echo", name, echo.run(load).await?, None);
        }
        figures.add("vault transit", name, transit.run(load, batched).await?, None);
    }
    figures.print();
    steps::print()?;
    figures.write()
}
