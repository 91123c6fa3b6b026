//! What it costs that the rows of a store are authenticated: a decision to sign with and without it, side by side, and the
//! comparison of all rows at a start. `cargo bench -p signer`; `WALLETS` (100,000) is how many wallets are compared.

#![allow(clippy::unwrap_used, reason = "a figure that can't be had is none")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use audit::{Decision, Entry};
use chain::{Amount, Claim};
use futures::{StreamExt, stream};
use policy::{Payees, Scope, Window};
use rand_core::OsRng;
use signer::store::{
    Asked, HotWallet, Kind, Ledger, OperationKey, RegisteredWallet, STORE_KEY_MADE, SealedKey, Spend, Store,
    StoreError, StoreKey, Watermark,
};

const CHAIN: &str = "eip155:1";
const DECISIONS: u64 = 10_000;
const ROUNDS: u64 = 5;
/// Wallets that are made in one commit.
const BATCH: u64 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (plain, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (plain, kept) = (Store::open(plain.path()).unwrap(), authenticated(kept.path()).await);
    for store in [&plain, &kept] {
        while store.count_windows(0, windows().to_vec()).await.unwrap() {}
    }
    println!("one decision to sign of {DECISIONS}, the best of {ROUNDS} rounds, two rolling windows");
    for at_once in [1, 64] {
        // A commit of its own each, so that fewer do.
        let decisions = if at_once == 1 { DECISIONS / 10 } else { DECISIONS };
        let mut best = [Duration::MAX; 2];
        for round in 0..ROUNDS {
            for (best, store) in best.iter_mut().zip([&plain, &kept]) {
                *best =
                    sign(store, (round * 2 + u64::from(at_once == 1)) * DECISIONS, decisions, at_once).await.min(*best);
            }
        }
        let [without, with] = best.map(|time| time.as_nanos() as f64 / decisions as f64 / 1_000.0);
        println!(
            "{at_once:>3} at once: {without:>7.1} us without, {with:>7.1} us with, {:>6.1} us more",
            with - without
        );
    }
    kept.compare_rows().await.unwrap();
    compare().await;
}

async fn authenticated(dir: &Path) -> Store {
    let store = Store::open(dir).unwrap();
    let key = || Arc::new(StoreKey::new(&[1; 32], &mut OsRng));
    let made = Entry { operation: STORE_KEY_MADE.to_owned(), ..Entry::default() };
    assert!(store.keep_store_key("vault:v1:sealed".to_owned(), key(), made).await.unwrap());
    store.authenticate(key()).await.unwrap();
    store
}

async fn sign(store: &Store, first: u64, count: u64, at_once: usize) -> Duration {
    let start = Instant::now();
    let decisions = (first..first + count)
        .map(|number| store.decide(1_800_000_000_000 + number, move |ledger| decide(ledger, number)));
    stream::iter(decisions).buffer_unordered(at_once).for_each(async |decided| decided.unwrap()).await;
    start.elapsed()
}

fn windows() -> [Window; 2] {
    [Scope::Wallet, Scope::Total].map(|scope| Window {
        scope,
        length_ms: 86_400_000,
        payees: Payees::All,
        limit: Amount::ZERO,
    })
}

/// The rows of a payment, as the pipeline writes them.
fn decide(ledger: &Ledger<'_>, number: u64) -> Result<(), StoreError> {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let (wallet, chain) = (format!("wallet-{}", number % 1_000), CHAIN.to_owned());
    let mark = Watermark { wallet, chain, claims: vec![Claim::Sequence(number)], kind: Kind::Payment, id };
    for window in windows() {
        ledger.spent(&window, &mark.wallet, CHAIN, "ETH")?;
    }
    ledger.record(&mark)?;
    let (asset, amount, to) = ("ETH".to_owned(), Amount::from(5), Some("0x".repeat(20)));
    ledger.spend(&Spend { wallet: mark.wallet.clone(), chain: CHAIN.to_owned(), id, asset, amount, to }, true)?;
    ledger.begin(&OperationKey { sender: "app", operation_id: id[..16].to_vec(), digest: id })?;
    ledger.note_asked(Asked { operation_id: &id[..16], payment_id: Some(&id), mark: &mark }, None)?;
    let entry = Entry {
        at_ms: ledger.now_ms(),
        operation: "Sign".to_owned(),
        wallet: mark.wallet,
        digest: id.to_vec(),
        decision: Decision::Signed,
        ..Entry::default()
    };
    ledger.append(entry).map(drop)
}

async fn compare() {
    let wallets = std::env::var("WALLETS").ok().and_then(|wallets| wallets.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let store = authenticated(dir.path()).await;
    for first in (0..wallets).step_by(BATCH as usize) {
        store
            .decide(0, move |ledger| (first..wallets.min(first + BATCH)).try_for_each(|number| wallet(ledger, number)))
            .await
            .unwrap();
    }
    let start = Instant::now();
    store.compare_rows().await.unwrap();
    let (time, rows) = (start.elapsed(), wallets * 4);
    println!(
        "{rows} rows of {wallets} wallets compared in {:.2} s, {:.0} rows a second",
        time.as_secs_f64(),
        rows as f64 / time.as_secs_f64()
    );
}

/// Keeper's four rows of a wallet, with values of their real sizes.
fn wallet(ledger: &Ledger<'_>, number: u64) -> Result<(), StoreError> {
    let (wallet, sealed) = (format!("wallet-{number:08}"), "x".repeat(100));
    let keys = vec![SealedKey {
        namespace: "eip155".to_owned(),
        public_key: [&[2; 25][..], &number.to_be_bytes()].concat(),
        secret: format!("vault:v1:{sealed}"),
    }];
    let (entropy, attestation) = (format!("vault:v1:{sealed}"), vec![3; 200]);
    ledger.keep_hot(HotWallet { wallet: wallet.clone(), entropy, keys, attestation, verifier: None })?;
    let addresses = vec![(CHAIN.to_owned(), format!("0x{number:040x}"))];
    ledger.register(RegisteredWallet {
        wallet,
        hot_keys: vec![4; 80],
        salt: vec![0; 32],
        addresses,
        record: vec![5; 250],
    })?;
    Ok(())
}
