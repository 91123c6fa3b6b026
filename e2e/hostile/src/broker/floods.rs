//! Floods: messages with somebody's genuine credentials, as fast as they can be published, until they are stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use clock::now_ms;
use custody::Role;
use ed25519_dalek::SigningKey;
use futures::StreamExt;
use prost::Message;
use protocol::{
    envelope::{MAX_BYTES, Party},
    ops::{Batch, Freeze, MAX_BATCH_ITEMS, Operation, Payment, Request},
    subject::{Lane, inbox_prefix},
};
use rand_core::OsRng;
use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};

use super::{forge::Draft, post::Broker};
use crate::{
    stolen::Stolen,
    world::{Wire, operation_id},
};

/// Connections of one flood.
const CONNECTIONS: usize = 2;
/// After so many messages of a connection it pauses: ten thousand a second are more than a signer opens, and what the
/// broker still has when the flood is over is gone in seconds.
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// Envelopes that take long to make are made before, and sent again and again.
const POOL: usize = 48;
/// What an envelope needs beside the bytes to be signed at most.
const AROUND: usize = 1_024;
/// Bytes of an envelope of which only one is kept by the client.
const LARGE: usize = 64 * 1024;
/// For as long an envelope made before has not expired.
const FRESH: Duration = Duration::from_secs(20);

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// What does not open, in all of App's lanes.
    Garbage,
    /// Copies of one genuine request of App.
    Copies,
    /// Genuine requests of App, each another.
    Genuine,
    /// Genuine requests of App as large as the broker carries.
    Large,
    /// Genuine batches of App with as many items as there may be.
    Batches,
    /// Genuine freezes of one wallet by the other signer.
    Peer,
}

/// A flood under way.
pub(super) struct Flooding {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Flooding {
    /// Messages published so far.
    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Answers that have come so far, whatever they say.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// The end of it; an error if it ended before.
    pub(super) async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// Makes one envelope after the other.
type Envelopes = Box<dyn FnMut() -> Result<Vec<u8>> + Send>;

impl Flood {
    /// Begins it against `signer`, with connections of its own.
    pub(super) async fn begin(self, broker: &Broker<'_>, signer: Role) -> Result<Flooding> {
        let (stop, sent, answered) = (Arc::default(), Arc::default(), Arc::default());
        let mut flooding = Flooding { stop, sent, answered, tasks: Vec::new() };
        let (nats, from) = (&broker.world.pair.custody.nats, self.sender(signer));
        for number in 0..CONNECTIONS {
            let wire = Wire::connect(nats, broker.world.pair.custody.credentials(from)).await?;
            let inbox = format!("{}.flood{number}", inbox_prefix(from));
            let mut answers = wire.subscribe(&inbox).await?;
            let counted = flooding.answered.clone();
            tokio::spawn(async move {
                while answers.next().await.is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            let subjects: Vec<String> = self.lanes().iter().map(|lane| broker.lane(signer, *lane)).collect();
            let mut envelopes = self.envelopes(broker, signer).await?;
            let (stop, sent) = (flooding.stop.clone(), flooding.sent.clone());
            flooding.tasks.push(tokio::spawn(async move {
                for (number, subject) in (1..).zip(subjects.iter().cycle()) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let bytes = envelopes()?;
                    let large = bytes.len() > LARGE;
                    wire.publish(subject, Some(&inbox), bytes).await?;
                    // The client keeps thousands of messages for later.
                    if large {
                        wire.client.flush().await?;
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                    if number % BURST == 0 { sleep(PAUSE).await } else { yield_now().await }
                }
                Ok(())
            }));
        }
        Ok(flooding)
    }

    /// Whose credentials.
    fn sender(self, signer: Role) -> Role {
        match self {
            Flood::Peer if signer == Role::Keeper => Role::Cooler,
            Flood::Peer => Role::Keeper,
            _ => Role::App,
        }
    }

    /// Where.
    pub(super) fn lanes(self) -> &'static [Lane] {
        match self {
            Flood::Garbage => &[Lane::Op, Lane::Records, Lane::Freeze],
            Flood::Peer => &[Lane::Peer],
            _ => &[Lane::Op],
        }
    }

    async fn envelopes(self, broker: &Broker<'_>, signer: Role) -> Result<Envelopes> {
        let payment = broker.payment(0).await?;
        let app = App { party: broker.world.app_party(), signer, subject: broker.world.op(signer) };
        Ok(match self {
            Flood::Garbage => Box::new(|| Ok(vec![0xa5; 300])),
            Flood::Copies => {
                let (mut copy, mut made) = (app.envelope(Operation::Check(payment.clone()))?, Instant::now());
                Box::new(move || {
                    if made.elapsed() > FRESH {
                        (copy, made) = (app.envelope(Operation::Check(payment.clone()))?, Instant::now());
                    }
                    Ok(copy.clone())
                })
            }
            Flood::Genuine => Box::new(move || app.envelope(Operation::Check(payment.clone()))),
            Flood::Large => {
                let large = Payment { unsigned: vec![1; MAX_BYTES - AROUND], ..payment };
                pool((0..POOL).map(|_| app.envelope(Operation::Check(large.clone()))))?
            }
            Flood::Batches => {
                let check =
                    || Request { operation_id: operation_id(), operation: Some(Operation::Check(payment.clone())) };
                let batch = || Batch { requests: (0..MAX_BATCH_ITEMS).map(|_| check()).collect() };
                pool((0..POOL).map(|_| app.envelope(Operation::Batch(batch()))))?
            }
            Flood::Peer => {
                let (from, draft) = (self.sender(signer), broker.world.pair.member(self.sender(signer)));
                let stolen =
                    Stolen::new(draft.data_dir(), draft.vault_trust(), draft.vault_token_file(), draft.custody_id())?;
                let key = stolen.message_key().await?;
                let freeze = Operation::Freeze(Freeze { wallet: "nobody".to_owned(), reason: "a flood".to_owned() });
                let draft = Draft::new(broker, from, signer, Lane::Peer, Vec::new());
                Box::new(move || told(&draft, &key, freeze.clone()))
            }
        })
    }
}

/// App, asking one signer.
struct App {
    party: Party,
    signer: Role,
    subject: String,
}

impl App {
    fn envelope(&self, operation: Operation) -> Result<Vec<u8>> {
        let payload = Request { operation_id: operation_id(), operation: Some(operation) }.encode_to_vec();
        Ok(self.party.request(self.signer, &self.subject, &payload, now_ms(), &mut OsRng)?.0)
    }
}

/// What the other signer says, by whoever has its message key.
fn told(draft: &Draft, key: &SigningKey, operation: Operation) -> Result<Vec<u8>> {
    let payload = Request { operation_id: operation_id(), operation: Some(operation) }.encode_to_vec();
    draft.anew(payload).finished(key)
}

fn pool(envelopes: impl Iterator<Item = Result<Vec<u8>>>) -> Result<Envelopes> {
    let envelopes: Vec<_> = envelopes.collect::<Result<_>>()?;
    let mut next = 0;
    Ok(Box::new(move || {
        next += 1;
        envelopes.get(next % envelopes.len()).cloned().context("there are some")
    }))
}
