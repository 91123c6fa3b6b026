//! Requests to the node.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use serde_json::json;

use crate::{
    Scale,
    pay::Payer,
    place::{Place, Way},
};

/// Blocks after which a payment is confirmed.
const DEPTH: u64 = 2;

/// Requests that a payment takes at 12 s blocks until it is confirmed, beyond those of an App that has nothing to do. Each
/// item of a batch counts.
pub(crate) async fn per_payment(place: &mut Place, payer: &Payer, scale: Scale) -> Result<f64> {
    let (payments, block_time) = if scale.whole() { (100, 12) } else { (20, 3) };
    place.restart_with(Way::Counted, |config| config["chain"]["finality"] = json!({"depth": DEPTH})).await?;
    place.block_time(block_time).await?;
    let first = next_block(place, 1).await?;
    place.proxy.reset();
    let ids = try_join_all((0..payments).map(|_| payer.post())).await?;
    for id in &ids {
        let payment = place.world.api.await_end(id).await?;
        ensure!(payment["status"] == "confirmed", "{payment:#}");
    }
    let last = next_block(place, 1).await?;
    let (busy, counts) = (place.proxy.total(), place.proxy.counts());
    place.proxy.reset();
    next_block(place, last - first).await?;
    let idle = place.proxy.total();
    let each = busy.saturating_sub(idle) as f64 / f64::from(payments);
    println!(
        "\n{payments} payments to confirmed (depth {DEPTH}) in {} blocks of {block_time} s: {busy} requests, an idle App: {idle}",
        last - first
    );
    print(&counts, usize::try_from(payments)?);
    place.block_time(1).await?;
    Ok(each)
}

/// Waits for so many blocks.
async fn next_block(place: &Place, blocks: u64) -> Result<u64> {
    let until = place.block().await? + blocks;
    loop {
        let newest = place.block().await?;
        if newest >= until {
            return Ok(newest);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// By method.
pub(crate) fn print(counts: &BTreeMap<String, u64>, payments: usize) {
    println!("  requests to the node for each of {payments} payments, idle ones included:");
    for (method, count) in counts {
        println!("    {method:<32} {:8.2}", *count as f64 / payments.max(1) as f64);
    }
}
