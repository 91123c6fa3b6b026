//! Too much, and nothing at all.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use custody::Role;
use data_center::LEASE;
use protocol::{
    ops::{Freeze, Operation, Outcome, Payment, Request},
    subject::Lane,
};
use tokio::time::Instant;
use transport::CallError;

use super::post::Broker;
use crate::{
    refusals::{By, KEEPER, Refusals},
    world::{Wallet, asked, operation_id},
};

/// Messages of each flood.
const FLOOD: usize = 7_000;
/// Of seven messages so many are garbage; the others are copies of one genuine request.
const GARBAGE: usize = 5;

/// For as long copies of a request are copies of one that has not expired.
const FRESH: Duration = Duration::from_secs(20);

/// A freeze and a payment are asked for while it goes on, and asked for again until they are answered; the freeze holds.
pub(super) async fn flood(broker: &Broker<'_>) -> Result<Refusals> {
    let mut refusals = Refusals::default();
    for signer in [Role::Keeper, Role::Cooler] {
        let before = broker.rejections(signer).await?;
        let Some(wallet) = broker.world.wallets(1).await?.pop() else { bail!("no wallet was made") };
        let genuine = broker.held(signer, 0).await?.bytes;
        let meanwhile = async {
            let outcome = frozen(broker, signer, &wallet).await;
            broker.pay().await.and(outcome)
        };
        let (sent, reason) = tokio::join!(flooded(broker, signer, &genuine), meanwhile);
        ensure!(sent? >= FLOOD, "the flood ended early");
        refusals.note(By::Party(signer), &reason?);
        let now = broker.rejections(signer).await?;
        let grown =
            now.into_iter().filter(|(reason, count)| before.get(reason) != Some(count)).map(|(reason, _)| reason);
        refusals.extend(Refusals::all(By::Party(signer), grown));
    }
    Ok(refusals)
}

/// Publishes the flood; how many messages.
async fn flooded(broker: &Broker<'_>, signer: Role, genuine: &[u8]) -> Result<usize> {
    let garbage = vec![0xa5; genuine.len()];
    let (mut sent, begun) = (0, Instant::now());
    while sent < FLOOD {
        // Copies that have expired would be dropped for that, not for being copies.
        let copies = begun.elapsed() < FRESH;
        let bytes = if sent % 7 < GARBAGE || !copies { &garbage } else { genuine };
        let (subject, reply, bytes) = broker.to(signer, bytes.to_vec());
        broker.wire.publish(&subject, reply.as_deref(), bytes).await?;
        sent += 1;
        if sent % 100 == 0 {
            broker.wire.client.flush().await?;
        }
    }
    Ok(sent)
}

/// Freezes a wallet with a signer; the reason for which that signer then refuses its payment.
async fn frozen(broker: &Broker<'_>, signer: Role, wallet: &Wallet) -> Result<String> {
    let world = broker.world;
    let freeze = Operation::Freeze(Freeze { wallet: wallet.id.clone(), reason: "a test".to_owned() });
    let request = Request { operation_id: operation_id(), operation: Some(freeze) };
    let done = asked(world, signer, request).await?;
    ensure!(matches!(done, Outcome::Done(_)), "{signer} does not freeze: {done:?}");
    refused(broker, signer, wallet).await
}

/// The reason for which a signer refuses a payment of a wallet that it has frozen.
pub(super) async fn refused(broker: &Broker<'_>, signer: Role, wallet: &Wallet) -> Result<String> {
    let (world, theft) = (broker.world, broker.arena.theft(1, 0));
    let hot_signatures = match signer {
        Role::Cooler => vec![world.forged_hot(wallet, &theft).await?],
        _ => Vec::new(),
    };
    match world.sign(signer, Payment { hot_signatures, ..world.payment(wallet, &theft.unsigned()) }).await? {
        Err(reason) => Ok(reason),
        Ok(_) => bail!("{signer} signs for a frozen wallet"),
    }
}

/// The broker delivers nothing until App has given up once; asked again, the freeze holds.
pub(super) async fn freeze_suppressed(broker: &Broker<'_>) -> Result<Refusals> {
    let (world, nats) = (broker.world, &broker.world.pair.custody.nats);
    let Some(wallet) = world.wallets(1).await?.pop() else { bail!("no wallet was made") };
    let freeze = Operation::Freeze(Freeze { wallet: wallet.id.clone(), reason: "a test".to_owned() });
    let request = Request { operation_id: operation_id(), operation: Some(freeze) };
    nats.pause();
    let silence = world.app.call(Role::Keeper, Lane::Op, &request, Instant::now() + Duration::from_secs(4)).await;
    nats.resume();
    let silent = matches!(silence, Err(CallError::NoAnswer { .. }));
    ensure!(silent, "a suppressed freeze is answered: {silence:?}");
    let done = asked(world, Role::Keeper, request).await?;
    ensure!(matches!(done, Outcome::Done(_)), "keeper does not freeze: {done:?}");
    let payment = world.payment(&wallet, &broker.arena.theft(1, 0).unsigned());
    match world.sign(Role::Keeper, payment).await? {
        Err(reason) => Ok(Refusals::one(KEEPER, &reason)),
        Ok(_) => bail!("a frozen wallet is signed for"),
    }
}

/// As if the broker let nothing of the sentinel through: then neither signs.
pub(super) async fn sentinel_suppressed(broker: &Broker<'_>) -> Result<Refusals> {
    let (world, pair) = (broker.world, &broker.world.pair);
    pair.sentinel.sleep();
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    let wallet = broker.arena.wallet();
    let theft = broker.arena.theft(1, broker.arena.nonce(wallet).await?);
    let granted = world.both(wallet, &theft).await;
    pair.sentinel.wake();
    pair.serving().await;
    let granted = granted?;
    ensure!(granted.hot.is_none() && granted.cool.is_none(), "something is signed without a lease");
    Ok(granted.refusals)
}
