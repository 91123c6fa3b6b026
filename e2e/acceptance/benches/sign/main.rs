//! `make bench-sign`: signatures per second, on one machine, in one run, beside what others offer: App's request to a
//! verified, durable answer, for Keeper and for Keeper and Cooler; Vault Transit bare, and audited with a scoped token and
//! derived keys; dirk's attestations, which are durable too; an echo over the same broker; the library alone. The sides take
//! turns, several rounds of each, so that a noisy machine is as noisy for everybody; everything shares its cores with its
//! client, so ratios travel and absolute figures don't.

mod curves;
mod dirk;
mod echo;
mod figures;
mod ours;
mod steps;
mod transit;
mod variants;
mod yardstick;

use std::{env, time::Duration};

use acceptance::{
    ETH, World,
    load::{Cpu, Length, Load},
};
use anyhow::{Context, Result};

use figures::Figures;

/// Requests at the same time; a batch has [`ours::BATCH`] signatures.
const LOADS: [(&str, usize); 4] = [("c1", 1), ("c16", 16), ("c64", 64), ("batch100", 4)];

/// What takes turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Keeper,
    Both,
    Transit,
    Audited,
    Dirk,
    Echo,
}

impl Side {
    const ALL: [Side; 6] = [Side::Keeper, Side::Both, Side::Transit, Side::Audited, Side::Dirk, Side::Echo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Keeper => "keeper",
            Side::Both => "keeper + cooler",
            Side::Transit => "transit, bare",
            Side::Audited => "transit, audited",
            Side::Dirk => "dirk",
            Side::Echo => "broker echo",
        }
    }

    /// Whether it knows batches.
    fn batches(self) -> bool {
        !matches!(self, Side::Both | Side::Echo)
    }
}

/// How long each side runs at a time, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    turn: Duration,
    rounds: usize,
}

impl Plan {
    fn of_environment() -> Result<Self> {
        let number = |name: &str, default: u64| match env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} is not a number")),
            Err(_) => Ok(default),
        };
        let (seconds, rounds) = (number("BENCH_SECONDS", 20)?, number("BENCH_ROUNDS", 5)?);
        Ok(Self { turn: Duration::from_secs(seconds.max(1)), rounds: rounds.max(1) as usize })
    }

    pub(crate) fn rounds(self) -> usize {
        self.rounds
    }

    pub(crate) fn load(self, concurrency: usize) -> Load {
        Load { concurrency, length: Length::Lasting(self.turn) }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = Plan::of_environment()?;
    eprintln!("bench-sign: bringing up three API servers, two Vaults, NATS, an EVM node and dirk");
    let mut world = World::start(ETH, ETH).await?;
    world.app.kill();
    eprintln!("bench-sign: making {} wallets", ours::WALLETS);
    let wallets = ours::Wallets::create(world.caller().await?).await?;
    let vault = &world.ground.vault_a;
    let bare = transit::Transit::bare(vault).await?;
    let audited = transit::Transit::scoped(vault).await?;
    let echo = echo::Echo::set_up(&world.ground.nats).await?;
    let mut dirk = dirk::Dirk::start().await?;

    let mut figures = Figures::default();
    for (name, concurrency) in LOADS {
        let (batched, load) = (name == "batch100", plan.load(concurrency));
        for round in 1..=plan.rounds {
            for side in Side::ALL.into_iter().filter(|side| !batched || side.batches()) {
                let machine = yardstick::Machine::now()?;
                let keeper = Cpu::of(&world.ground.commands.bin.join("keeper"))?;
                let run = match side {
                    Side::Keeper if batched => wallets.batches(load).await?,
                    Side::Keeper => wallets.keeper(load).await?,
                    Side::Both => wallets.both(load).await?,
                    Side::Transit => bare.run(load, batched).await?,
                    Side::Audited => audited.audited(vault, load, batched).await?,
                    Side::Dirk => dirk.run(concurrency, plan.turn, batched).await?,
                    Side::Echo => echo.run(load).await?,
                };
                let own = if side == Side::Keeper { Some(keeper.since()?) } else { None };
                figures.add(side, name, round, run, machine.since()?, own);
            }
        }
    }
    let fsync = yardstick::fsync(world.ground.folder.path())?;
    let curves = curves::measure(&dirk)?;
    dirk.stop();
    let variants = variants::measure(plan, &wallets).await?;
    figures.print(&curves, fsync, &variants)?;
    steps::print()?;
    figures.write(&curves, fsync, &variants)
}
