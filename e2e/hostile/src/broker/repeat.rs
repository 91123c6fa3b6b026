//! Genuine messages again, later, elsewhere, in another order.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use custody::Role;
use protocol::{
    ops::Outcome,
    subject::{Lane, inbox_prefix},
};

use super::post::{Broker, Held};
use crate::{
    refusals::{KEEPER, Refusals},
    world::{Tapped, reason},
};

const SIGNERS: [Role; 2] = [Role::Keeper, Role::Cooler];

/// Delivers what was held, which has to be answered.
async fn answered(broker: &Broker<'_>, held: &Held) -> Result<Outcome> {
    let reply = broker.deliver(held).await?.context("a request is not answered")?;
    broker.read(held, &reply)
}

/// Everything that was heard on a lane of each signer during a payment, once more.
async fn again(broker: &Broker<'_>, lane: Lane) -> Result<Refusals> {
    let lanes = SIGNERS.map(|signer| broker.lane(signer, lane));
    let heard =
        broker.overheard(|subject| lanes.iter().any(|lane| lane == subject), async || broker.pay().await).await?;
    let mut refusals = Refusals::default();
    for (signer, lane) in SIGNERS.into_iter().zip(&lanes) {
        let theirs = heard.iter().filter(|tapped| tapped.subject == *lane);
        let posts: Vec<_> = theirs.cloned().map(|Tapped { subject, reply, bytes }| (subject, reply, bytes)).collect();
        ensure!(!posts.is_empty(), "nothing was heard on {lane}");
        refusals.extend(broker.injected(signer, posts).await?);
    }
    Ok(refusals)
}

pub(super) async fn replayed(broker: &Broker<'_>) -> Result<Refusals> {
    again(broker, Lane::Op).await
}

pub(super) async fn sentinels_words(broker: &Broker<'_>) -> Result<Refusals> {
    again(broker, Lane::Sentinel).await
}

pub(super) async fn heads(broker: &Broker<'_>) -> Result<Refusals> {
    again(broker, Lane::Peer).await
}

/// One of them is the request; it is answered once.
pub(super) async fn duplicated(broker: &Broker<'_>) -> Result<Refusals> {
    let held = broker.held(Role::Keeper, 0).await?;
    let first = answered(broker, &held).await?;
    ensure!(matches!(first, Outcome::Signed(_)), "keeper does not sign: {first:?}");
    let copies = (0..99).map(|_| broker.to(Role::Keeper, held.bytes.clone())).collect();
    broker.injected(Role::Keeper, copies).await
}

/// The second payment first.
pub(super) async fn reordered(broker: &Broker<'_>) -> Result<Refusals> {
    let (first, second) = (broker.held(Role::Keeper, 0).await?, broker.held(Role::Keeper, 1).await?);
    let early = answered(broker, &second).await?;
    let Err(why) = reason(early) else { bail!("a later nonce is signed first") };
    let signed = answered(broker, &first).await?;
    ensure!(matches!(signed, Outcome::Signed(_)), "keeper does not sign: {signed:?}");
    Ok(Refusals::one(KEEPER, &why))
}

/// The filter against repetition is empty then; the table is not.
pub(super) async fn after_a_restart(broker: &Broker<'_>) -> Result<Refusals> {
    let pair = &broker.world.pair;
    let held = broker.held(Role::Keeper, 0).await?;
    let Outcome::Signed(first) = answered(broker, &held).await? else { bail!("keeper does not sign") };
    pair.restart(Role::Keeper).await;
    pair.serving().await;
    let before = broker.rejections(Role::Keeper).await?;
    let Some(reply) = broker.deliver(&held).await? else {
        let now = broker.rejections(Role::Keeper).await?;
        return Ok(Refusals::all(KEEPER, now.into_keys().filter(|reason| !before.contains_key(reason))));
    };
    let Outcome::Signed(again) = broker.read(&held, &reply)? else { bail!("keeper answers something else") };
    ensure!(first.signatures == again.signatures, "another signature is given");
    Ok(Refusals::one(KEEPER, "the stored signature, sealed to App"))
}

/// App's request with a reply subject of the attacker's, of another role's, or none.
pub(super) async fn redirected(broker: &Broker<'_>) -> Result<Refusals> {
    let mut posts = Vec::new();
    let inboxes = [Some("_INBOX.attacker.1".to_owned()), Some(format!("{}.1", inbox_prefix(Role::Sentinel))), None];
    for inbox in inboxes {
        posts.push((broker.world.op(Role::Keeper), inbox, broker.held(Role::Keeper, 0).await?.bytes));
    }
    broker.injected(Role::Keeper, posts).await
}

/// Kept back from the beginning on, or until it has expired.
pub(super) async fn delayed(broker: &Broker<'_>) -> Result<Refusals> {
    tokio::time::sleep(Duration::from_secs(31)).await;
    let mut refusals = Refusals::default();
    for held in &broker.old {
        refusals.extend(broker.injected(held.to, vec![broker.to(held.to, held.bytes.clone())]).await?);
    }
    Ok(refusals)
}
