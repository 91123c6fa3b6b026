//! The same under other circumstances, beside itself in turns: rolling windows in the local policies; and what a new wallet
//! costs beside the stretching of its phrase, which nobody can save.

use std::time::{Duration, Instant};

use acceptance::{ETH, Ground, World};
use anyhow::Result;
use custody::phrase::Phrase;
use rand_core::OsRng;

use crate::{Plan, ours, yardstick::Machine};

const CONCURRENCY: usize = 64;
/// Wallets of one measurement.
const CREATED: usize = 10 * ours::BATCH;

/// As ratios.
pub(crate) struct Variants {
    /// Keeper's rate at c64 with two windows of a day, of the one without, by round.
    pub(crate) window: Vec<f64>,
    /// Microseconds of the whole machine for a new wallet.
    pub(crate) creation: f64,
    /// Microseconds of one core to stretch one phrase.
    pub(crate) derivation: f64,
}

pub(crate) async fn measure(plan: Plan, plain: &ours::Wallets) -> Result<Variants> {
    let (creation, derivation) = (creation(plain).await?, derivation()?);
    eprintln!("bench-sign: bringing up a custody with windows");
    let ground = Ground { windows: true, ..Ground::start().await? };
    let mut world = World::on(ground, ETH, ETH).await?;
    world.app.kill();
    let windowed = ours::Wallets::create(world.caller().await?).await?;
    let mut window = Vec::new();
    for _ in 0..plan.rounds() {
        let without = plain.keeper(plan.load(CONCURRENCY)).await?.rate();
        window.push(windowed.keeper(plan.load(CONCURRENCY)).await?.rate() / without);
    }
    Ok(Variants { window, creation, derivation })
}

async fn creation(wallets: &ours::Wallets) -> Result<f64> {
    let machine = Machine::now()?;
    wallets.more(CREATED).await?;
    Ok(machine.since()?.as_secs_f64() * 1e6 / CREATED as f64)
}

/// A phrase of 24 words and its keys, as Keeper makes them.
fn derivation() -> Result<f64> {
    const TIMES: u32 = 50;
    let begun = Instant::now();
    for _ in 0..TIMES {
        let keys = Phrase::generate(&mut OsRng).keys();
        for namespace in custody::phrase::NAMESPACES {
            keys.public_key(namespace)?;
        }
    }
    let took: Duration = begun.elapsed();
    Ok(took.as_secs_f64() * 1e6 / f64::from(TIMES))
}
