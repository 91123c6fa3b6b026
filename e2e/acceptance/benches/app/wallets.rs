//! Wallets: asked of App, as many at once as it likes, and then put on the chain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use acceptance::{
    CHAIN_ID,
    load::{Length, Load, Run},
    until,
};
use anyhow::{Context, Result, ensure};
use chain::ChainRules;
use chain_evm::EvmSafe;
use custody::{manifest::SignedManifest, phrase::Phrase};
use data_encoding::HEXLOWER;
use rand_core::OsRng;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::place::Place;

/// Requests for wallets at the same time.
const AT_ONCE: usize = 32;
/// Requests of a JSON-RPC batch to the node.
const BATCH: usize = 500;
/// More than a deployment takes.
const GAS: &str = "0x61a80";
/// What each wallet has to pay with.
const FUNDS: &str = "0xde0b6b3a7640000";

/// Phrases that all cores of this machine derive in a second, which each new wallet needs once.
pub(crate) fn limit() -> f64 {
    const LONG_ENOUGH: Duration = Duration::from_secs(3);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let derive = || {
        let mut done = 0_usize;
        while started.elapsed() < LONG_ENOUGH {
            std::hint::black_box(Phrase::generate(&mut OsRng).keys());
            done += 1;
        }
        done
    };
    let done: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(derive)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    done as f64 / started.elapsed().as_secs_f64()
}

/// Names of wallets that App made.
pub(crate) struct Wallets {
    pub(crate) names: Vec<String>,
}

impl Wallets {
    /// Makes so many, numbered from `first`.
    pub(crate) async fn create(place: &Place, first: usize, many: usize) -> Result<(Self, Run)> {
        eprintln!("bench-app: making {many} wallets");
        let (api, next) = (place.world.api.clone(), Arc::new(AtomicUsize::new(first)));
        let load = Load { concurrency: AT_ONCE, length: Length::Requests(many) };
        let made = load.run(1, move |_| {
            let (api, next) = (api.clone(), next.clone());
            async move { api.create_wallet(&name(next.fetch_add(1, Ordering::Relaxed))).await.map(drop) }
        });
        let made = made.await?;
        eprintln!("bench-app: {:.0} wallets/s", made.rate());
        Ok((Self { names: (first..first + many).map(name).collect() }, made))
    }

    /// Deploys all through the factory, by transactions of one of the node's own accounts, and gives each 1 ETH.
    pub(crate) async fn deploy(&self, place: &Place) -> Result<()> {
        let started = Instant::now();
        let ground = &place.world.ground;
        let from = ground.anvil.dev_accounts()?[1].address.clone();
        let _: Value = ground.anvil.rpc("anvil_setBalance", json!([from, "0xd3c21bcecceda1000000"])).await?;
        let manifest = SignedManifest::parse(&std::fs::read(&ground.ceremonies.manifest)?)?.verify()?;
        let rules = EvmSafe::new(format!("eip155:{CHAIN_ID}").parse()?)?;
        let (mut sends, mut funds, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for (nonce, hot) in hot_keys(place, self.names.len())?.into_iter().enumerate() {
            let wallet = rules.wallet(&manifest.owners(rules.id(), &hot)?, [0; 32])?;
            let call = rules.creation(&wallet)?.context("a Safe has to be deployed")?;
            let data = format!("0x{}", HEXLOWER.encode(&call.data));
            let nonce = format!("{nonce:#x}");
            sends.push((
                "eth_sendTransaction",
                json!([{"from": from, "to": call.to, "data": data, "gas": GAS, "nonce": nonce}]),
            ));
            funds.push(("anvil_setBalance", json!([wallet.address, FUNDS])));
            codes.push(("eth_getCode", json!([wallet.address, "latest"])));
        }
        batches(place, &sends).await?;
        batches(place, &funds).await?;
        let deployed = || async {
            let codes = batches(place, &codes).await?;
            let missing = codes.iter().filter(|code| code.as_str().is_none_or(|code| code.len() < 4)).count();
            ensure!(missing == 0, "{missing} wallets are not deployed");
            Ok(())
        };
        until(deployed).await?;
        let took = started.elapsed().as_secs_f64();
        println!(
            "{} wallets deployed through the Safe factory by transactions of another account, 1 ETH set on each, \
             in {took:.0} s",
            self.names.len()
        );
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("w{number}")
}

/// Of all wallets that App has.
fn hot_keys(place: &Place, expected: usize) -> Result<Vec<Vec<u8>>> {
    let db = Connection::open_with_flags(place.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = db.prepare("SELECT hot_key FROM wallets WHERE hot_key IS NOT NULL")?;
    let keys: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    ensure!(keys.len() == expected, "{} wallets of {expected} are in App's database", keys.len());
    Ok(keys)
}

/// The results of many requests to the node.
async fn batches(place: &Place, requests: &[(&str, Value)]) -> Result<Vec<Value>> {
    let (http, url) = (reqwest::Client::builder().no_proxy().build()?, place.world.ground.anvil.url());
    let mut results = Vec::with_capacity(requests.len());
    for batch in requests.chunks(BATCH) {
        let item = |(id, (method, params)): (usize, &(&str, Value))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let body: Vec<Value> = batch.iter().enumerate().map(item).collect();
        let answers: Vec<Value> = http.post(&url).json(&body).send().await?.json().await?;
        ensure!(answers.len() == batch.len(), "the node answers {} of {} requests", answers.len(), batch.len());
        for mut answer in answers {
            ensure!(answer.get("error").is_none(), "the node refuses: {answer}");
            results.push(answer["result"].take());
        }
    }
    Ok(results)
}
