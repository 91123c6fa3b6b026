//! `make bench`: what the whole costs, on this machine, in one run. Ratios travel, absolute times don't. Signatures have
//! a bench of their own (`make bench-sign`).

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use acceptance::{ETH, World};
use anyhow::{Context, Result, ensure};
use playbook::hub::multisig_cluster;

#[tokio::main]
async fn main() -> Result<()> {
    println!("bench: bringing up three API servers, two Vaults, NATS and an EVM node");
    let world = World::start(ETH, ETH).await?;
    ready(&world).await?;
    println!("operator memory at rest: {:.1} MiB resident", resident_mib(world.operator.pid().context("it runs")?)?);
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
