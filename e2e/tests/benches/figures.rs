//! `make bench`: what the whole costs, on this machine, in one run. Ratios travel, absolute times don't.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chain::{Amount, Asset, Intent};
use chain_evm::EvmSafe;
use custody::{Role, wiring::Credentials};
use data_encoding::HEXLOWER;
use e2e_tests::{CHAIN_ID, ETH, World};
use link::{Caller, Link, Metrics};
use nkeys::{KeyPair, XKey};
use prometheus_client::registry::Registry;
use protocol::{
    envelope::{OwnKeys, Party, Peers},
    ops::{Operation, Outcome, Payment, Request},
    subject::Lane,
};
use stage::hub::multisig_cluster;
use tokio::{sync::watch, task::JoinSet};

const WALLET: &str = "bench";
/// Each request uses up a nonce of the wallet.
const REQUESTS: u64 = 600;

#[tokio::main]
async fn main() -> Result<()> {
    println!("bench: bringing up three API servers, two Vaults, NATS and an EVM node");
    let mut world = World::start(ETH, ETH).await?;
    world.api.create_wallet(WALLET).await?;
    ready(&world).await?;
    println!("operator memory at rest: {:.1} MiB resident", resident_mib(world.operator.pid().context("it runs")?)?);
    world.app.kill();
    signatures(&world).await?;
    fsyncs(world.ground.folder.path())?;
    images(&world.ground.commands.bin)
}

/// From applying the MultisigCluster to Ready, with keys and trust in place, and how much of it is the pod's start.
async fn ready(world: &World) -> Result<()> {
    let clusters = world.ground.hub.clusters();
    world.ground.hub.delete(&clusters, "main").await?;
    let mut spec = world.ground.cluster_spec();
    spec.app_nats_user = Some(world.owner.identity.nats_user.clone());
    let started = Instant::now();
    world.ground.hub.apply(world.ground.hub.clusters(), multisig_cluster("main", &spec)).await?;
    world.ground.hub.await_condition(&clusters, "main", "Ready", "True", "").await?;
    let whole = started.elapsed();

    let started = Instant::now();
    world.kubelet_a.kill("keeper")?;
    world.kubelet_a.ready("keeper", Duration::from_secs(120)).await?;
    let pod = started.elapsed();
    let without = whole.saturating_sub(pod);
    println!("time to Ready: {whole:.1?}; a pod's start: {pod:.1?}; without it: {without:.1?}");
    Ok(())
}

fn resident_mib(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the kernel tells VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib / 1024.0)
}

/// App's keys, in App's stead: its envelope to Keeper, and back with a verified answer.
async fn caller(world: &World) -> Result<Caller> {
    let room = &world.owner.folder;
    let read = |name: &str| Ok::<_, anyhow::Error>(fs::read_to_string(room.join(name))?.trim().to_owned());
    let message: [u8; 32] =
        HEXLOWER.decode(read("identity/message.seed")?.as_bytes())?.try_into().ok().context("32 bytes")?;
    let xkey = XKey::from_seed(&read("identity/xkey.seed")?)?;
    let (_, xkey) = nkeys::decode_seed(&xkey.seed()?)?;
    let (_, keeper) = world.ground.keeper.fingerprint(&world.ground.commands).await?;
    let peers = Peers::new(&BTreeMap::from([(Role::Keeper, vec![keeper.keys])]))?;
    let custody = world.ground.ceremonies.custody_id.parse()?;
    let party = Party::new(custody, Role::App, Arc::new(OwnKeys::from_seeds(&message, &xkey)), peers)?;
    let credentials: Credentials = serde_json::from_str(&read("credentials.json")?)?;
    let link = Link::connect(link::Options {
        urls: vec![world.ground.nats.url()],
        ca_pem: world.ground.nats.ca_pem().to_owned(),
        custody,
        role: Role::App,
        nkey: KeyPair::from_seed(&read("identity/nats.seed")?)?,
        jwt: keep(credentials.user_jwt),
    })
    .await?;
    Ok(Caller::new(link, keep(party), Metrics::register(&mut Registry::default())))
}

/// A value that never changes, watched.
fn keep<T: Send + Sync + 'static>(value: T) -> watch::Receiver<T> {
    let (sender, receiver) = watch::channel(value);
    // Dropping the sender would read as "no more values".
    tokio::spawn(async move { sender.closed().await });
    receiver
}

fn request(nonce: u64) -> Result<Request> {
    let chain = format!("eip155:{CHAIN_ID}");
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    let to = "0x00000000000000000000000000000000005400ff".to_owned();
    let intent = Intent::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(1_u128) };
    let unsigned = EvmSafe::new(chain.parse()?)?.build(&intent, &assets, nonce)?;
    let payment = Payment { wallet: WALLET.to_owned(), chain, unsigned, ..Payment::default() };
    let mut operation_id = vec![0; 16];
    operation_id[..8].copy_from_slice(&nonce.to_be_bytes());
    Ok(Request { operation_id, operation: Some(Operation::Sign(payment)) })
}

async fn signatures(world: &World) -> Result<()> {
    let caller = caller(world).await?;
    // The first answers pay for connections.
    let mut nonce = 0;
    for concurrency in [1, 1, 16] {
        let mut latencies = Vec::new();
        let started = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..REQUESTS {
            while running.len() >= concurrency {
                latencies.push(running.join_next().await.context("one runs")???);
            }
            running.spawn(sign(caller.clone(), request(nonce)?));
            nonce += 1;
        }
        while let Some(done) = running.join_next().await {
            latencies.push(done??);
        }
        let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
        latencies.sort();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        println!(
            "signature over NATS, durable (Keeper), {concurrency} at once: p50 {:.1?}, p99 {:.1?}, {rate:.0}/s of {}",
            at(50),
            at(99),
            latencies.len()
        );
    }
    Ok(())
}

async fn sign(caller: Caller, request: Request) -> Result<Duration> {
    let started = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    match caller.call(Role::Keeper, Lane::Op, &request, deadline).await?.outcome {
        Some(Outcome::Signed(_)) => Ok(started.elapsed()),
        other => bail!("Keeper did not sign: {other:?}"),
    }
}

/// The yardstick: what the disk asks for one durable write.
fn fsyncs(folder: &Path) -> Result<()> {
    let mut file = fs::File::create(folder.join("yardstick"))?;
    let mut latencies = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        latencies.push(started.elapsed());
    }
    latencies.sort();
    println!("for comparison, write and fsync of 4 KiB here: p50 {:.1?}, p99 {:.1?}", latencies[100], latencies[198]);
    Ok(())
}

/// An image is one static binary and the CA roots.
fn images(bin: &Path) -> Result<()> {
    let roots = fs::metadata("/etc/ssl/certs/ca-certificates.crt").map_or(0, |file| file.len());
    for name in ["multisig-operator", "keeper", "cooler", "app"] {
        let size = (fs::metadata(bin.join(name))?.len() + roots) as f64 / 1e6;
        println!("image {name}: {size:.1} MB");
        ensure!(size < 30.0, "{name} is over 30 MB");
    }
    Ok(())
}
