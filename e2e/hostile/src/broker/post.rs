//! What the broker can do: hear everything, hold a message back, deliver it when and where it likes, and see in the
//! signers' metrics why it was dropped.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use async_nats::Subscriber;
use clock::now_ms;
use custody::Role;
use futures::StreamExt;
use natsauth::{Permissions, Subjects};
use prost::Message;
use protocol::{
    envelope::{Rejected, RequestTicket},
    exact,
    ops::{Operation, Outcome, Payment, Request, Response},
    subject::{Lane, inbox_prefix, subject},
};
use rand_core::OsRng;
use tokio::time::{Instant, timeout};

use crate::{
    refusals::{By, Refusals},
    world::{Arena, Kind, Tapped, Wire, World, operation_id, safe::SafeTx, tapped},
};

/// So many messages at once are all looked at: a signer that is asked for more turns some away uncounted.
const BURST: usize = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(3);

/// The attacker.
pub(super) struct Broker<'a> {
    pub(super) world: &'a World,
    /// One wallet, which App pays from.
    pub(super) arena: Arena<'a>,
    /// A user that may do everything.
    pub(super) wire: Wire,
    /// Kept back from the beginning.
    pub(super) old: Vec<Held>,
    inboxes: Cell<usize>,
}

/// A request of App that the broker has and nobody else.
pub(super) struct Held {
    pub(super) to: Role,
    pub(super) bytes: Vec<u8>,
    ticket: RequestTicket,
}

/// Where something is published: subject, reply subject, bytes.
pub(super) type Post = (String, Option<String>, Vec<u8>);

impl<'a> Broker<'a> {
    /// Mints a user that may do everything.
    pub(super) async fn take(world: &'a World) -> Result<Self> {
        let all = || Subjects { allow: vec![">".to_owned()], deny: Vec::new() };
        let permissions = Permissions { publish: all(), subscribe: all(), response: None };
        let credentials = world.pair.custody.mint("attacker", permissions).await;
        let wire = Wire::connect(&world.pair.custody.nats, credentials).await?;
        let arena = world.arena(Kind::Plain, 1).await?;
        let mut broker = Self { world, arena, wire, old: Vec::new(), inboxes: Cell::new(0) };
        broker.old = vec![broker.held(Role::Keeper, 0).await?, broker.held(Role::Cooler, 0).await?];
        Ok(broker)
    }

    /// The legitimate payment: always the same, at the wallet's next nonce.
    pub(super) async fn pay(&self) -> Result<()> {
        self.arena.pay(self.arena.wallet(), 1).await
    }

    /// What App asks for to pay so at `ahead` of the next nonce.
    pub(super) async fn payment(&self, ahead: u64) -> Result<Payment> {
        let nonce = self.arena.nonce(self.arena.wallet()).await? + ahead;
        let tx = SafeTx::transfer(self.arena.token.contract, self.world.friend, 1, nonce);
        Ok(self.world.payment(self.arena.wallet(), &tx.unsigned()))
    }

    /// The payload of such a request.
    pub(super) async fn payload(&self, ahead: u64) -> Result<Vec<u8>> {
        let operation = Some(Operation::Sign(self.payment(ahead).await?));
        Ok(Request { operation_id: operation_id(), operation }.encode_to_vec())
    }

    /// App asks for a signature, and the broker does not deliver it.
    pub(super) async fn held(&self, to: Role, ahead: u64) -> Result<Held> {
        let payload = self.payload(ahead).await?;
        let party = self.world.app_party();
        let (bytes, ticket) = party.request(to, &self.world.op(to), &payload, now_ms(), &mut OsRng)?;
        Ok(Held { to, bytes, ticket })
    }

    /// A subject below App's inbox where nobody else waits.
    pub(super) fn inbox(&self) -> String {
        self.inboxes.set(self.inboxes.get() + 1);
        format!("{}.attacked.{}", inbox_prefix(Role::App), self.inboxes.get())
    }

    /// Delivers what was held back. The reply as it was sent, if there is one.
    pub(super) async fn deliver(&self, held: &Held) -> Result<Option<Vec<u8>>> {
        let inbox = self.inbox();
        let mut replies = self.wire.subscribe(&inbox).await?;
        self.wire.publish(&self.world.op(held.to), Some(&inbox), held.bytes.clone()).await?;
        let reply = timeout(SILENCE, replies.next()).await.ok().flatten();
        Ok(reply.map(|message| message.payload.to_vec()))
    }

    /// What App reads in a reply to its request.
    pub(super) fn read(&self, held: &Held, reply: &[u8]) -> Result<Outcome> {
        let answer = held.ticket.open_response(reply, now_ms())?;
        exact::decode::<Response>(answer.payload())?.outcome.context("a response has an outcome")
    }

    /// App's request, addressed as it should be.
    pub(super) fn to(&self, signer: Role, bytes: Vec<u8>) -> Post {
        (self.world.op(signer), Some(self.inbox()), bytes)
    }

    /// A lane of a signer.
    pub(super) fn lane(&self, signer: Role, lane: Lane) -> String {
        subject(self.world.pair.custody.custody_id(), signer, lane)
    }

    /// Publishes, and says for which reasons `signer` dropped each of them. One that is not dropped is an error.
    pub(super) async fn injected(&self, signer: Role, posts: Vec<Post>) -> Result<Refusals> {
        let mut refusals = Refusals::default();
        for burst in posts.chunks(BURST) {
            let before = self.rejections(signer).await?;
            for (subject, reply, bytes) in burst {
                self.wire.publish(subject, reply.as_deref(), bytes.clone()).await?;
            }
            let reasons = self.grown(signer, &before, burst.len() as u64).await?;
            refusals.extend(Refusals::all(By::Party(signer), reasons));
        }
        Ok(refusals)
    }

    async fn grown(&self, signer: Role, before: &BTreeMap<String, u64>, by: u64) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.rejections(signer).await?;
            let more = |reason: &String| now[reason] - before.get(reason).copied().unwrap_or_default();
            let dropped: u64 = now.keys().map(more).sum();
            if dropped >= by {
                ensure!(dropped == by, "{signer} dropped {dropped} of {by} messages");
                return Ok(now.keys().filter(|reason| more(reason) > 0).cloned().collect());
            }
            ensure!(Instant::now() < deadline, "{signer} dropped only {dropped} of {by} messages");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Envelopes that a signer has dropped so far, by reason.
    pub(super) async fn rejections(&self, signer: Role) -> Result<BTreeMap<String, u64>> {
        let (_, text) = self.world.pair.member(signer).http("/metrics").await;
        let counted = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("multisig_signer_link_rejected_total{reason=\"")?;
            let (reason, count) = rest.split_once("\"}")?;
            Some((reason.to_owned(), count.trim().parse().ok()?))
        });
        Ok(counted.collect())
    }

    /// Envelopes that App has dropped so far, by reason.
    pub(super) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        Rejected::REASONS.map(|reason| (reason, self.world.dropped.rejected(reason))).into()
    }

    /// All that is said while `meanwhile` goes on, on subjects for which `wanted` holds.
    pub(super) async fn overheard(
        &self,
        wanted: impl Fn(&str) -> bool,
        meanwhile: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<Vec<Tapped>> {
        let mut tap = self.wire.subscribe(">").await?;
        meanwhile().await?;
        let mut heard = heard(&mut tap).await;
        heard.retain(|tapped| wanted(&tapped.subject));
        Ok(heard)
    }
}

/// What has been tapped so far, until nothing comes for a moment.
async fn heard(tap: &mut Subscriber) -> Vec<Tapped> {
    let mut all = Vec::new();
    let until = Instant::now() + SILENCE;
    while let Ok(Some(message)) = tokio::time::timeout_at(until, tap.next()).await {
        all.push(tapped(message));
    }
    all
}
