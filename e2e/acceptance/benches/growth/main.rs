//! `make bench-growth`: what a wallet costs on Keeper's volume, and whether a start, a check or a signature takes longer
//! with many wallets than with few. The pipeline, the store and the Vault are real; there is no broker.
//!
//! The store is filled with copies of a wallet that the pipeline has made and signed for once, straight into the tables,
//! under names, ids and keys of their own: their audit chain does not verify and their keys sign nothing. What is
//! measured is done with wallets that the pipeline makes after that. Nobody tallies the rows: what that costs has a bench of
//! its own (`cargo bench -p signer --bench tally`). `BENCH_WALLETS="10000 1000000"` says how many.

mod figures;
mod fill;
mod place;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use figures::{Figures, Row, percentile};
use place::{Place, Wallets};

/// Wallets that sign, each so often.
const SIGNING: usize = 256;
const ROUNDS: u64 = 8;
/// Signatures at the same time.
const AT_ONCE: usize = 16;
/// Starts, of which the median counts.
const STARTS: usize = 5;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let sizes = std::env::var("BENCH_WALLETS").unwrap_or_else(|_| "10000 1000000".to_owned());
    let sizes: Vec<usize> = sizes.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let place = Place::start().await?;
    let mut figures = Figures::default();
    let mut stored = 0;
    for wallets in sizes {
        eprintln!("bench-growth: filling the store to {wallets} wallets");
        let began = Instant::now();
        stored = place.fill(stored, wallets).await?;
        eprintln!("bench-growth: copying rows took {:.0} s", began.elapsed().as_secs_f64());
        figures.add(measure(&place, stored).await?);
    }
    figures.print();
    figures.write()
}

async fn measure(place: &Place, wallets: usize) -> Result<Row, Error> {
    let bytes_per_wallet = place.bytes()? as f64 / wallets as f64;
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let began = Instant::now();
        let store = place.start_once().await?;
        starts.push(began.elapsed());
        drop(store);
    }
    starts.sort();

    let signer = Arc::new(place.signer().await?);
    let made = Wallets::make(&signer, SIGNING).await?;
    let (mut checks, mut singly) = (Vec::new(), Vec::new());
    for wallet in made.names().iter().take(SIGNING / 2) {
        checks.push(timed(signer.check(wallet, 0)).await?);
        singly.push(timed(signer.sign(wallet, 0)).await?);
    }
    for wallet in made.names().iter().skip(SIGNING / 2) {
        signer.sign(wallet, 0).await?;
    }
    signer.flush().await?;
    let (before, began) = (signer.log_pages(), Instant::now());
    let workers = made.names().chunks(SIGNING / AT_ONCE).map(|names| {
        let (signer, names) = (signer.clone(), names.to_vec());
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(names.len() * ROUNDS as usize);
            for nonce in 1..=ROUNDS {
                for wallet in &names {
                    latencies.push(timed(signer.sign(wallet, nonce)).await?);
                }
            }
            Ok::<_, Error>(latencies)
        })
    });
    let mut at_once = Vec::new();
    for worker in join_all(workers).await {
        at_once.extend(worker??);
    }
    let took = began.elapsed();
    signer.flush().await?;
    let pages = signer.log_pages() - before;
    Ok(Row {
        wallets,
        bytes_per_wallet,
        start_ms: milliseconds(starts[STARTS / 2]),
        check_ms: [percentile(&mut checks, 50), percentile(&mut checks, 99)],
        sign_ms: [percentile(&mut singly, 50), percentile(&mut singly, 99)],
        sign_at_once_ms: [percentile(&mut at_once, 50), percentile(&mut at_once, 99)],
        per_second: at_once.len() as f64 / took.as_secs_f64(),
        log_bytes: (pages * place::LOG_PAGE) as f64 / at_once.len() as f64,
    })
}

async fn timed(work: impl Future<Output = Result<(), Error>>) -> Result<Duration, Error> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
