//! The attacker is the broker: it holds the operator's and the account's keys, sees every message, and sends whatever it
//! likes to whomever it likes. It moves nothing. After each attack the next legitimate payment has to succeed.

mod answers;
mod floods;
mod forge;
mod listen;
mod load;
mod post;
mod pressure;
mod repeat;
mod reshape;

use anyhow::{Context, Result};
use futures::future::{FutureExt, LocalBoxFuture};

use crate::{
    refusals::Refusals,
    report::{Row, Suite},
    suite::Progress,
    world::World,
};
use floods::Flood;
use post::Broker;

type Attack = for<'a> fn(&'a Broker<'a>) -> LocalBoxFuture<'a, Result<Refusals>>;

/// What a wallet's payment is refused for that was frozen under a flood.
const FROZEN: &str = "keeper: Frozen; cooler: Frozen";

/// All of them, and who drops or refuses each for which reason.
const ATTACKS: &[(&str, &str, Attack)] = &[
    ("tap of everything", "envelope: sealed", |b| listen::tap_everything(b).boxed_local()),
    ("subscribe to foreign lanes with every role's credentials", "broker: permissions violation", |b| {
        listen::foreign_lanes(b).boxed_local()
    }),
    ("join foreign queues with every role's credentials", "broker: permissions violation", |b| {
        listen::foreign_queues(b).boxed_local()
    }),
    ("tap of a shared inbox with every role's credentials", "broker: permissions violation", |b| {
        listen::inboxes(b).boxed_local()
    }),
    ("subscribe by wildcard with every role's credentials", "broker: permissions violation", |b| {
        listen::wildcards(b).boxed_local()
    }),
    ("publish to foreign lanes with every role's credentials", "broker: permissions violation", |b| {
        listen::publish(b).boxed_local()
    }),
    ("requests taken away from the signer's queue", "app: asks again", |b| listen::queue_joined(b).boxed_local()),
    ("request replayed", "keeper: Replayed; cooler: Replayed", |b| repeat::replayed(b).boxed_local()),
    ("request duplicated 100 times", "keeper: Replayed", |b| repeat::duplicated(b).boxed_local()),
    ("requests reordered", "keeper: Unsettled", |b| repeat::reordered(b).boxed_local()),
    ("request repeated after a restart", "keeper: the stored signature, sealed to App", |b| {
        repeat::after_a_restart(b).boxed_local()
    }),
    ("the sentinel's words repeated: leases, settlements", "keeper: Replayed; cooler: Replayed", |b| {
        repeat::sentinels_words(b).boxed_local()
    }),
    ("audit heads repeated", "keeper: Replayed; cooler: Replayed", |b| repeat::heads(b).boxed_local()),
    ("forged: signed by an unknown key", "keeper: BadSignature; cooler: BadSignature", |b| {
        forge::unknown_key(b).boxed_local()
    }),
    ("forged: lease and settlement", "keeper: BadSignature", |b| forge::sentinels_words(b).boxed_local()),
    ("stripped and signed by another approved peer", "keeper: BadSignature; cooler: BadSignature", |b| {
        forge::other_peer(b).boxed_local()
    }),
    ("sender that is not a peer", "keeper: UnknownSender; cooler: UnknownSender", |b| forge::no_peer(b).boxed_local()),
    ("bit flips at every byte of the envelope", "keeper: Malformed, NotForThisKey, NotOpened, UnknownVersion", |b| {
        reshape::flipped_envelope(b).boxed_local()
    }),
    ("bit flips at every byte of what is signed, sealed anew", "keeper: BadSignature, Malformed, UnknownSender", |b| {
        reshape::flipped_signed(b).boxed_local()
    }),
    ("each field of the body altered, sealed anew", "keeper: BadSignature", |b| {
        reshape::altered_fields(b).boxed_local()
    }),
    ("truncation at every length", "keeper: Malformed, NotForThisKey, UnknownVersion", |b| {
        reshape::truncated_envelope(b).boxed_local()
    }),
    ("truncation of what is signed, sealed anew", "keeper: Malformed, UnknownSender", |b| {
        reshape::truncated_signed(b).boxed_local()
    }),
    ("bytes and fields added", "keeper: Malformed", |b| reshape::extended(b).boxed_local()),
    ("ephemeral key of small order", "keeper: Malformed", |b| reshape::weak_ephemeral(b).boxed_local()),
    ("cross-audience: Keeper's request to Cooler", "cooler: NotForThisKey", |b| forge::cross_audience(b).boxed_local()),
    ("cross-audience, sealed anew to Cooler", "cooler: WrongRecipient", |b| {
        forge::cross_audience_resealed(b).boxed_local()
    }),
    ("cross-custody", "keeper: WrongCustody; cooler: WrongCustody", |b| forge::cross_custody(b).boxed_local()),
    ("request moved to another lane", "keeper: WrongSubject", |b| forge::other_lane(b).boxed_local()),
    ("role that does not speak on the lane", "keeper: WrongLane", |b| forge::foreign_lane(b).boxed_local()),
    ("sealed for another", "keeper: NotForThisKey, NotOpened", |b| forge::sealed_for_another(b).boxed_local()),
    ("response as request", "keeper: NotForThisKey, WrongKind, WrongReply; cooler: WrongKind, WrongReply", |b| {
        forge::response_as_request(b).boxed_local()
    }),
    (
        "made in the future, or for too long",
        "keeper: BadLifetime, FromTheFuture; cooler: BadLifetime, FromTheFuture",
        |b| forge::unreal_times(b).boxed_local(),
    ),
    ("reply redirected to a foreign inbox", "keeper: ForeignInbox, NoReplySubject", |b| {
        repeat::redirected(b).boxed_local()
    }),
    ("request as response", "app: NotForThisKey", |b| answers::reflected(b).boxed_local()),
    ("swapped replies", "app: WrongReply", |b| answers::swapped(b).boxed_local()),
    ("reply of the other signer", "app: WrongSubject", |b| answers::other_signer(b).boxed_local()),
    ("forged reply", "app: BadSignature", |b| answers::forged(b).boxed_local()),
    ("damaged reply", "app: Malformed, NotOpened, UnknownVersion", |b| answers::damaged(b).boxed_local()),
    (
        "flood of garbage and duplicates",
        "keeper: Frozen, Malformed, Replayed; cooler: Frozen, Malformed, Replayed",
        |b| load::flood(b).boxed_local(),
    ),
    ("freeze, lease and settlement under garbage in App's lanes", FROZEN, |b| {
        pressure::under(b, Flood::Garbage).boxed_local()
    }),
    ("freeze, lease and settlement under copies of a request", FROZEN, |b| {
        pressure::under(b, Flood::Copies).boxed_local()
    }),
    ("freeze, lease and settlement under genuine requests of App", FROZEN, |b| {
        pressure::under(b, Flood::Genuine).boxed_local()
    }),
    ("freeze, lease and settlement under envelopes of a mebibyte", FROZEN, |b| {
        pressure::under(b, Flood::Large).boxed_local()
    }),
    ("freeze, lease and settlement under batches of 500", FROZEN, |b| pressure::under(b, Flood::Batches).boxed_local()),
    ("freeze, lease and settlement under the other signer's freezes", FROZEN, |b| {
        pressure::under(b, Flood::Peer).boxed_local()
    }),
    ("freeze suppressed", "keeper: Frozen", |b| load::freeze_suppressed(b).boxed_local()),
    ("sentinel suppressed", "keeper: LeaseExpired; cooler: LeaseExpired", |b| {
        load::sentinel_suppressed(b).boxed_local()
    }),
    ("request delayed past its expiry", "keeper: Expired; cooler: Expired", |b| repeat::delayed(b).boxed_local()),
];

/// All attacks of the suite.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let progress = Progress::new(Suite::Broker, ATTACKS.len());
    let world = World::start().await?;
    let broker = Broker::take(&world).await?;
    broker.pay().await.context("a payment before all attacks")?;
    let mut rows = Vec::new();
    for (name, expected, attack) in ATTACKS {
        progress.attack(name);
        let outcome = row(&broker, name, *attack).await.map(|row| row.expecting(expected));
        rows.extend(progress.outcome(name, outcome));
    }
    progress.end(rows)
}

async fn row(broker: &Broker<'_>, name: &str, attack: Attack) -> Result<Row> {
    let before = broker.arena.moved().await?;
    let refused_by = attack(broker).await?;
    broker.pay().await.context("the payment after the attack")?;
    let moved = broker.arena.moved().await? - before;
    Ok(Row::new(Suite::Broker, name, refused_by.to_string(), moved))
}
