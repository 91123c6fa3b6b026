//! Listening: the broker hears ciphertext, and with a role's credentials alone nobody hears a foreign word.

use anyhow::{Result, ensure};
use custodies::CHAIN;
use custody::Role;
use protocol::subject::{Lane, inbox_prefix, listens, queue, speaks};

use super::post::Broker;
use crate::{
    refusals::{APP, By, Refusals},
    world::Wire,
};

/// Stable word for what the broker says.
const VIOLATION: &str = "permissions violation";

pub(super) async fn tap_everything(broker: &Broker<'_>) -> Result<Refusals> {
    let heard = broker.overheard(|_| true, async || broker.pay().await).await?;
    // A request and an answer for each signer, and the sentinel's words.
    ensure!(heard.len() >= 4, "only {} messages were heard", heard.len());
    let (wallet, token) = (&broker.arena.wallet().id, broker.arena.token.contract);
    let secrets = [CHAIN.as_bytes(), wallet.as_bytes(), token.as_slice(), broker.world.friend.as_slice()];
    for secret in secrets {
        let shows = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        let readable = heard.iter().filter(|tapped| shows(&tapped.bytes)).count();
        ensure!(readable == 0, "{readable} messages are readable");
    }
    Ok(Refusals::one(By::Envelope, "sealed"))
}

/// Tries all with real credentials of each role; each has to be refused.
async fn refused(broker: &Broker<'_>, tries: impl Fn(Role) -> Vec<Try>) -> Result<Refusals> {
    let custody = &broker.world.pair.custody;
    for role in Role::ALL {
        let wire = Wire::connect(&custody.nats, custody.credentials(role)).await?;
        for Try { subject, queue, publish } in tries(role) {
            let said = wire.refused(&subject, queue, publish).await?;
            let violation = said.as_ref().is_some_and(|said| said.to_ascii_lowercase().contains(VIOLATION));
            ensure!(violation, "{role} may use {subject} (queue {queue:?}): {said:?}");
        }
    }
    Ok(Refusals::one(By::Broker, VIOLATION))
}

struct Try {
    subject: String,
    queue: Option<&'static str>,
    publish: bool,
}

fn subscription(subject: String, queue: Option<&'static str>) -> Try {
    Try { subject, queue, publish: false }
}

fn lanes() -> impl Iterator<Item = (Role, Lane)> {
    Role::ALL.into_iter().flat_map(|to| Lane::ALL.map(|lane| (to, lane)))
}

/// A plain subscription even of an own lane would be a tap.
pub(super) async fn foreign_lanes(broker: &Broker<'_>) -> Result<Refusals> {
    let subject = |(to, lane)| subscription(broker.lane(to, lane), None);
    refused(broker, |_| lanes().map(subject).collect()).await
}

pub(super) async fn foreign_queues(broker: &Broker<'_>) -> Result<Refusals> {
    let tries = |role: Role| {
        let foreign = lanes().filter(move |(to, lane)| *to != role || !listens(role).contains(lane));
        let in_queue =
            |(to, lane)| [queue(to), queue(role)].map(|name| subscription(broker.lane(to, lane), Some(name)));
        foreign.flat_map(in_queue).collect()
    };
    refused(broker, tries).await
}

pub(super) async fn inboxes(broker: &Broker<'_>) -> Result<Refusals> {
    let tries = |role: Role| {
        let foreign = Role::ALL.into_iter().filter(move |other| *other != role).map(inbox_prefix);
        let shared = ["_INBOX.>", "_INBOX.*", "_INBOX.*.>", "_INBOX.*.*.*"].map(str::to_owned);
        let below = foreign.flat_map(|inbox| [format!("{inbox}.>"), format!("{inbox}.x.1")]);
        below.chain(shared).map(|subject| subscription(subject, None)).collect()
    };
    refused(broker, tries).await
}

pub(super) async fn wildcards(broker: &Broker<'_>) -> Result<Refusals> {
    let custody = broker.world.pair.custody.custody_id();
    let tries = |role: Role| {
        let wide = [">", "*.>", "ms.>", "$SYS.>", "$JS.>", "$SRV.>"].map(str::to_owned);
        let own = [format!("ms.{custody}.>"), format!("ms.{custody}.{role}.*"), format!("ms.*.{role}.op")];
        let all = wide.into_iter().chain(own);
        all.flat_map(|subject| [subscription(subject.clone(), None), subscription(subject, Some(queue(role)))])
            .collect()
    };
    refused(broker, tries).await
}

pub(super) async fn publish(broker: &Broker<'_>) -> Result<Refusals> {
    let tries = |role: Role| {
        let foreign = lanes().filter(move |lane| !speaks(role).contains(lane)).map(|(to, lane)| broker.lane(to, lane));
        let inboxes = Role::ALL.map(|to| format!("{}.x.1", inbox_prefix(to)));
        foreign.chain(inboxes).map(|subject| Try { subject, queue: None, publish: true }).collect()
    };
    refused(broker, tries).await
}

/// A member of the queue that answers nothing: what it takes is asked again.
pub(super) async fn queue_joined(broker: &Broker<'_>) -> Result<Refusals> {
    let mut taken = Vec::new();
    for signer in [Role::Keeper, Role::Cooler] {
        let subject = broker.lane(signer, Lane::Op);
        taken.push(broker.wire.client.queue_subscribe(subject, queue(signer).to_owned()).await?);
    }
    broker.wire.client.flush().await?;
    broker.pay().await?;
    Ok(Refusals::one(APP, "asks again"))
}
