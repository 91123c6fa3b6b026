//! Too much, and nothing at all.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail, ensure};
use custody::Role;
use data_center::LEASE;
use protocol::{
    ops::{Freeze, Operation, Outcome, Request},
    subject::Lane,
};
use tokio::time::Instant;

use super::post::Broker;
use crate::world::{asked, operation_id};

const GARBAGE: usize = 5_000;
const DUPLICATES: usize = 2_000;

/// While it goes on, and after it, payments are made.
pub(super) async fn flood(broker: &Broker<'_>) -> Result<BTreeSet<String>> {
    let mut reasons = BTreeSet::new();
    for signer in [Role::Keeper, Role::Cooler] {
        let before = broker.rejections(signer).await?;
        let genuine = broker.held(signer, 0).await?.bytes;
        let garbage = vec![0xa5; genuine.len()];
        let flood = async {
            for number in 0..GARBAGE + DUPLICATES {
                let bytes = if number % 7 < 5 { &garbage } else { &genuine };
                let (subject, reply, bytes) = broker.to(signer, bytes.clone());
                broker.wire.publish(&subject, reply.as_deref(), bytes).await?;
            }
            anyhow::Ok(broker.wire.client.flush().await?)
        };
        let (flood, paid) = tokio::join!(flood, broker.pay());
        flood?;
        paid?;
        let now = broker.rejections(signer).await?;
        reasons.extend(now.into_iter().filter(|(reason, count)| before.get(reason) != Some(count)).map(|(it, _)| it));
    }
    Ok(reasons)
}

/// The broker delivers nothing until App has given up once; asked again, the freeze holds.
pub(super) async fn freeze_suppressed(broker: &Broker<'_>) -> Result<BTreeSet<String>> {
    let (world, nats) = (broker.world, &broker.world.pair.custody.nats);
    let Some(wallet) = world.wallets(1).await?.pop() else { bail!("no wallet was made") };
    let freeze = Operation::Freeze(Freeze { wallet: wallet.id.clone(), reason: "a test".to_owned() });
    let request = Request { operation_id: operation_id(), operation: Some(freeze) };
    nats.pause();
    let silence = world.app.call(Role::Keeper, Lane::Op, &request, Instant::now() + Duration::from_secs(4)).await;
    nats.resume();
    ensure!(silence.is_err(), "a suppressed freeze is confirmed");
    let done = asked(world, Role::Keeper, request).await?;
    ensure!(matches!(done, Outcome::Done(_)), "keeper does not freeze: {done:?}");
    let payment = world.payment(&wallet, &broker.arena.theft(1, 0).unsigned());
    match world.sign(Role::Keeper, payment).await? {
        Err(reason) => Ok([reason].into()),
        Ok(_) => bail!("a frozen wallet is signed for"),
    }
}

/// As if the broker let nothing of the sentinel through: nothing is signed then.
pub(super) async fn sentinel_suppressed(broker: &Broker<'_>) -> Result<BTreeSet<String>> {
    let pair = &broker.world.pair;
    pair.sentinel.sleep();
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    let payment = broker.payment(0).await?;
    let refused = broker.world.sign(Role::Keeper, payment).await;
    pair.sentinel.wake();
    pair.serving().await;
    match refused? {
        Err(reason) => Ok([reason].into()),
        Ok(_) => bail!("something is signed without a lease"),
    }
}
