//! `make bench-app`: payments a second through App, from POST to the block, with real signers, broker, Vaults and node.
//!
//! `cN` is N HTTP clients; each posts its next payment as soon as the last was answered. The rate counts payments whose
//! execution is in a block, from the first post to the last of those blocks. Everything shares this machine's cores,
//! the node and the clients too. `BENCH_SCALE=0.01` tries it in minutes; its figures are written elsewhere.

mod cpu;
mod figures;
mod growth;
mod pay;
mod place;
mod rpc;
mod wallets;

use anyhow::Result;

use cpu::Used;
use figures::Figures;
use pay::Payer;
use place::{Place, Way};
use wallets::Wallets;

/// HTTP clients at the same time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// With so many the time is looked into.
const MOST: usize = 256;

/// How much of the whole is done, 1 for all of it.
#[derive(Debug, Clone, Copy)]
struct Scale(f64);

impl Scale {
    fn from_environment() -> Result<Self> {
        let text = std::env::var("BENCH_SCALE").unwrap_or_else(|_| "1".to_owned());
        let scale: f64 = text.parse()?;
        anyhow::ensure!(scale > 0.0 && scale <= 1.0, "BENCH_SCALE is '{text}'; expected more than 0 and at most 1");
        Ok(Self(scale))
    }

    fn whole(self) -> bool {
        self.0 == 1.0
    }

    /// So many of `all`, but `least`.
    fn of(self, all: usize, least: usize) -> usize {
        ((all as f64 * self.0) as usize).max(least)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let scale = Scale::from_environment()?;
    eprintln!("bench-app: bringing up three API servers, two Vaults, NATS and an EVM node");
    let mut place = Place::start().await?;
    let mut figures = Figures::default();

    let limit = wallets::limit();
    let (wallets, made) = Wallets::create(&place, 0, scale.of(20_000, 200)).await?;
    figures.wallets("empty store", made.rate(), limit);
    wallets.deploy(&place).await?;

    let mut payer = Payer::new(&place, wallets, scale);
    // What each copied row looks like, and a connection, a cache and a pool that are warm.
    payer.run(&place, 16, 64).await?;
    place.world.api.await_end(&payer.post().await?).await?;
    growth::fill(&mut place, scale.of(1_000, 1_000)).await?;
    figures.growth_1k = growth::p50(&place, &payer, scale).await?;

    loads(&place, &mut payer, &mut figures, Way::Direct, "").await?;
    place.restart(Way::Slow).await?;
    loads(&place, &mut payer, &mut figures, Way::Slow, "").await?;

    let many = growth::fill(&mut place, scale.of(1_000_000, 10_000)).await?;
    figures.stored = many;
    place.restart(Way::Direct).await?;
    figures.growth_1m = growth::p50(&place, &payer, scale).await?;
    let with_many = " and many stored";
    one(&place, &mut payer, &mut figures, Way::Direct, MOST, with_many).await?;
    let (_, made) = Wallets::create(&place, payer.wallets(), scale.of(1_000, 50)).await?;
    figures.wallets("many payments stored", made.rate(), limit);
    place.restart(Way::Slow).await?;
    one(&place, &mut payer, &mut figures, Way::Slow, MOST, with_many).await?;

    figures.rpc_per_payment = rpc::per_payment(&mut place, &payer, scale).await?;
    figures.print();
    figures.write(scale.whole())
}

async fn loads(place: &Place, payer: &mut Payer, figures: &mut Figures, way: Way, also: &'static str) -> Result<()> {
    for clients in CLIENTS {
        one(place, payer, figures, way, clients, also).await?;
    }
    Ok(())
}

async fn one(
    place: &Place,
    payer: &mut Payer,
    figures: &mut Figures,
    way: Way,
    clients: usize,
    also: &'static str,
) -> Result<()> {
    let payments = payer.enough(clients);
    let before = Used::now()?;
    place.proxy.reset();
    let paid = payer.run(place, clients, payments).await?;
    if clients == MOST {
        before.print_since(&format!("c{clients}{}{also}", way.words()), &paid)?;
    }
    if way == Way::Slow && clients == MOST {
        rpc::print(&place.proxy.counts(), paid.included);
    }
    figures.paid(way, clients, also, &paid);
    Ok(())
}
