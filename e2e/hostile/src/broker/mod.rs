//! The attacker is the broker: it holds the operator's and the account's keys, sees every message, and sends whatever it
//! likes to whomever it likes. It moves nothing. After each attack the next legitimate payment has to succeed.

mod answers;
mod forge;
mod listen;
mod load;
mod post;
mod repeat;
mod reshape;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use futures::future::{FutureExt, LocalBoxFuture};

use crate::{
    report::{Row, Suite},
    suite::{self, Progress},
    world::World,
};
use post::Broker;

type Attack = for<'a> fn(&'a Broker<'a>) -> LocalBoxFuture<'a, Result<BTreeSet<String>>>;

/// All of them.
const ATTACKS: &[(&str, Attack)] = &[
    ("tap of everything", |b| listen::tap_everything(b).boxed_local()),
    ("subscribe to foreign lanes with every role's credentials", |b| listen::foreign_lanes(b).boxed_local()),
    ("join foreign queues with every role's credentials", |b| listen::foreign_queues(b).boxed_local()),
    ("tap of a shared inbox with every role's credentials", |b| listen::inboxes(b).boxed_local()),
    ("subscribe by wildcard with every role's credentials", |b| listen::wildcards(b).boxed_local()),
    ("publish to foreign lanes with every role's credentials", |b| listen::publish(b).boxed_local()),
    ("requests taken away from the signer's queue", |b| listen::queue_joined(b).boxed_local()),
    ("request replayed", |b| repeat::replayed(b).boxed_local()),
    ("request duplicated 100 times", |b| repeat::duplicated(b).boxed_local()),
    ("requests reordered", |b| repeat::reordered(b).boxed_local()),
    ("request repeated after a restart", |b| repeat::after_a_restart(b).boxed_local()),
    ("the sentinel's words repeated: leases, settlements", |b| repeat::sentinels_words(b).boxed_local()),
    ("audit heads repeated", |b| repeat::heads(b).boxed_local()),
    ("forged: signed by an unknown key", |b| forge::unknown_key(b).boxed_local()),
    ("forged: lease and settlement", |b| forge::sentinels_words(b).boxed_local()),
    ("stripped and signed by another approved peer", |b| forge::other_peer(b).boxed_local()),
    ("sender that is no peer", |b| forge::no_peer(b).boxed_local()),
    ("bit flips at every byte of the envelope", |b| reshape::flipped_envelope(b).boxed_local()),
    ("bit flips at every byte of what is signed, sealed anew", |b| reshape::flipped_signed(b).boxed_local()),
    ("each field of the body altered, sealed anew", |b| reshape::altered_fields(b).boxed_local()),
    ("truncation at every length", |b| reshape::truncated_envelope(b).boxed_local()),
    ("truncation of what is signed, sealed anew", |b| reshape::truncated_signed(b).boxed_local()),
    ("bytes and fields added", |b| reshape::extended(b).boxed_local()),
    ("ephemeral key of small order", |b| reshape::weak_ephemeral(b).boxed_local()),
    ("cross-audience: Keeper's request to Cooler", |b| forge::cross_audience(b).boxed_local()),
    ("cross-audience, sealed anew to Cooler", |b| forge::cross_audience_resealed(b).boxed_local()),
    ("cross-custody", |b| forge::cross_custody(b).boxed_local()),
    ("request moved to another lane", |b| forge::other_lane(b).boxed_local()),
    ("role that does not speak on the lane", |b| forge::foreign_lane(b).boxed_local()),
    ("sealed for another", |b| forge::sealed_for_another(b).boxed_local()),
    ("response as request", |b| forge::response_as_request(b).boxed_local()),
    ("made in the future, or for too long", |b| forge::unreal_times(b).boxed_local()),
    ("reply redirected to a foreign inbox", |b| repeat::redirected(b).boxed_local()),
    ("request as response", |b| answers::reflected(b).boxed_local()),
    ("swapped replies", |b| answers::swapped(b).boxed_local()),
    ("reply of the other signer", |b| answers::other_signer(b).boxed_local()),
    ("forged reply", |b| answers::forged(b).boxed_local()),
    ("damaged reply", |b| answers::damaged(b).boxed_local()),
    ("flood of garbage and duplicates", |b| load::flood(b).boxed_local()),
    ("freeze suppressed", |b| load::freeze_suppressed(b).boxed_local()),
    ("sentinel suppressed", |b| load::sentinel_suppressed(b).boxed_local()),
    ("request delayed past its expiry", |b| repeat::delayed(b).boxed_local()),
];

/// All attacks of the suite.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let progress = Progress::new(Suite::Broker, ATTACKS.len());
    let world = World::start().await?;
    let broker = Broker::take(&world).await?;
    broker.pay().await.context("a payment before all attacks")?;
    let mut rows = Vec::new();
    for (name, attack) in ATTACKS {
        progress.attack(name);
        let outcome = row(&broker, name, *attack).await;
        rows.extend(progress.outcome(name, outcome));
    }
    progress.end(rows)
}

async fn row(broker: &Broker<'_>, name: &str, attack: Attack) -> Result<Row> {
    let before = broker.arena.moved().await?;
    let refused_by = attack(broker).await?;
    broker.pay().await.context("the payment after the attack")?;
    let moved = broker.arena.moved().await? - before;
    Ok(Row {
        suite: Suite::Broker,
        attack: name.to_owned(),
        refused_by: suite::joined(&refused_by),
        moved: moved.to_string(),
        limit: None,
    })
}
