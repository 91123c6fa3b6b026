//! Answers that are not. Keeper is held up, so that App hears the attacker's first; it waits on, and takes the right one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use custody::Role;
use ed25519_dalek::SigningKey;
use protocol::ops::{Operation, Outcome};
use rand_core::OsRng;
use tokio::time::Instant;

use super::{forge::Draft, post::Broker};
use crate::{
    refusals::{APP, Refusals},
    world::{Tapped, next},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// App asks Keeper, and hears `answers` before Keeper's own. The reasons for which App dropped them.
async fn meddled(broker: &Broker<'_>, answers: impl AsyncFnOnce(&Tapped) -> Result<Vec<Vec<u8>>>) -> Result<Refusals> {
    let (world, before) = (broker.world, broker.dropped());
    let mut tap = broker.wire.subscribe(&world.op(Role::Keeper)).await?;
    let payment = broker.payment(0).await?;
    let meddle = world.pair.held_up(Role::Keeper, async {
        let asked = next(&mut tap, |_| true).await?;
        let reply = asked.reply.clone().context("App waits for a reply")?;
        let answers = answers(&asked).await?;
        let wanted = answers.len() as u64;
        for bytes in answers {
            broker.wire.publish(&reply, None, bytes).await?;
        }
        dropped(broker, &before, wanted).await
    });
    let (outcome, reasons) = tokio::join!(world.ask(Role::Keeper, Operation::Check(payment)), meddle);
    let outcome = outcome?;
    ensure!(matches!(outcome, Ok(Outcome::Allowed(_))), "App believes something else: {outcome:?}");
    reasons
}

async fn dropped(broker: &Broker<'_>, before: &BTreeMap<&str, u64>, wanted: u64) -> Result<Refusals> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = broker.dropped();
        let grown: Vec<_> = now.iter().filter(|(reason, count)| **count > before[**reason]).collect();
        let count: u64 = grown.iter().map(|(reason, count)| **count - before[**reason]).sum();
        if count >= wanted {
            return Ok(Refusals::all(APP, grown.into_iter().map(|(reason, _)| (*reason).to_owned())));
        }
        ensure!(Instant::now() < deadline, "App dropped only {count} of {wanted} answers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A genuine answer of a signer to another request of App.
async fn elsewhere(broker: &Broker<'_>, signer: Role) -> Result<Vec<u8>> {
    let held = broker.held(signer, 0).await?;
    broker.deliver(&held).await?.with_context(|| format!("{signer} answers"))
}

pub(super) async fn reflected(broker: &Broker<'_>) -> Result<Refusals> {
    meddled(broker, async |asked| Ok(vec![asked.bytes.clone()])).await
}

pub(super) async fn swapped(broker: &Broker<'_>) -> Result<Refusals> {
    let other = elsewhere(broker, Role::Keeper).await?;
    meddled(broker, async |_| Ok(vec![other])).await
}

pub(super) async fn other_signer(broker: &Broker<'_>) -> Result<Refusals> {
    let other = elsewhere(broker, Role::Cooler).await?;
    meddled(broker, async |_| Ok(vec![other])).await
}

pub(super) async fn forged(broker: &Broker<'_>) -> Result<Refusals> {
    let forged = Draft::answer(broker, Role::Keeper);
    let by_others = [&SigningKey::generate(&mut OsRng), broker.world.pair.custody.sentinel.message_key()];
    let forged = by_others.map(|key| forged.sealed(&forged.signed(key)));
    let forged = forged.into_iter().collect::<Result<Vec<_>>>()?;
    meddled(broker, async |_| Ok(forged)).await
}

pub(super) async fn damaged(broker: &Broker<'_>) -> Result<Refusals> {
    let other = elsewhere(broker, Role::Keeper).await?;
    let mut flipped = other.clone();
    if let Some(last) = flipped.last_mut() {
        *last ^= 1;
    }
    let damaged = vec![flipped, other[..other.len() - 1].to_vec(), b"not an envelope".to_vec(), Vec::new()];
    meddled(broker, async |_| Ok(damaged)).await
}
