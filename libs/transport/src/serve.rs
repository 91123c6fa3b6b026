//! Serving: each lane over a connection and by a task of its own, in the role's queue group, and stopped without losing
//! what was taken.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use futures::{StreamExt, future::join_all};
use protocol::subject::{Lane, queue};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, warn};

use crate::{
    connection::{Connection, HAND_OVER},
    link::{Link, RequestError},
    metrics::Metrics,
};

/// Messages of a lane that wait to be opened. Beyond, they are dropped: garbage is in nobody's way but its own lane's.
const UNOPENED: usize = 256;
/// Their bytes: so many of the largest envelopes, or this.
const UNOPENED_LARGEST: usize = 8;
const UNOPENED_BYTES: usize = 256 * 1024;
/// Cores that open envelopes of one lane at most: one is left to the others where there are two.
const MAX_OPENING: usize = 4;

/// A message as the broker brought it; nothing about it is verified.
pub(crate) struct Incoming {
    /// Of the subscription.
    pub(crate) lane: Lane,
    /// Where it was published.
    pub(crate) subject: String,
    /// The envelope.
    pub(crate) payload: Vec<u8>,
    /// Where a reply is expected.
    pub(crate) reply: Option<String>,
    /// Its place until it is opened.
    pub(crate) unopened: Unopened,
}

/// A place in a lane.
pub(crate) struct Unopened {
    opening: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Unopened {
    /// Opens it when its turn in the lane has come, and gives its place free.
    pub(crate) async fn open<T>(self, open: impl FnOnce() -> T) -> T {
        // Closed by nobody.
        let _turn = self.opening.acquire().await.ok();
        open()
    }
}

/// A reply, and what is held until it has left.
pub(crate) struct Answer<P> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) place: P,
}

/// Ends with [`Serving::stop`], or without a goodbye when it is dropped.
pub struct Serving {
    lanes: Vec<JoinHandle<()>>,
    connections: Vec<Arc<Connection>>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Serving {
    /// Takes nothing more, lets the handlers finish for at most `grace`, and writes out their replies. Says whether
    /// all finished.
    pub async fn stop(mut self, grace: Duration) -> bool {
        self.stop.cancel();
        let finished = timeout(grace, join_all(&mut self.lanes)).await.is_ok();
        self.lanes.iter().for_each(JoinHandle::abort);
        join_all(self.connections.iter().map(|connection| connection.close())).await;
        finished
    }
}

/// One lane.
struct Intake<H> {
    lane: Lane,
    connection: Arc<Connection>,
    handler: Arc<H>,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    opening: Arc<Semaphore>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Link {
    /// Subscribes the role's own `lanes` in its queue group and hands each message to `handler`; what that returns is
    /// the reply.
    pub(crate) async fn serve<H, F, P>(
        &self,
        lanes: &[Lane],
        metrics: &Metrics,
        handler: H,
    ) -> Result<Serving, RequestError>
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Answer<P>>> + Send + 'static,
        P: Send + 'static,
    {
        let (stop, handler) = (CancellationToken::new(), Arc::new(handler));
        let mut serving =
            Serving { lanes: Vec::new(), connections: Vec::new(), _guard: stop.clone().drop_guard(), stop };
        let connections = join_all(lanes.iter().map(|lane| async { (*lane, self.another().await) })).await;
        for (lane, connection) in connections {
            let connection = Arc::new(connection?);
            let subject = self.subject(self.role(), lane);
            let subscribe = connection.client().queue_subscribe(subject, queue(self.role()).to_owned());
            let subscriber = match timeout(HAND_OVER, subscribe).await {
                Ok(Ok(subscriber)) => subscriber,
                _ => return Err(RequestError::Stuck),
            };
            connection.flush().await;
            let intake = Intake::new(lane, connection.clone(), handler.clone(), metrics.clone(), serving.stop.clone());
            serving.connections.push(connection);
            serving.lanes.push(tokio::spawn(Arc::new(intake).take(subscriber)));
        }
        Ok(serving)
    }
}

impl<H, F, P> Intake<H>
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Option<Answer<P>>> + Send + 'static,
    P: Send + 'static,
{
    fn new(
        lane: Lane,
        connection: Arc<Connection>,
        handler: Arc<H>,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bytes = UNOPENED_BYTES.max(UNOPENED_LARGEST * lane.max_bytes());
        Self {
            lane,
            connection,
            handler,
            places: permits(UNOPENED),
            bytes: permits(bytes),
            opening: permits((cores / 2).clamp(1, MAX_OPENING)),
            metrics,
            stop,
        }
    }

    /// Takes messages until it is told to stop, then those that are on their way, then waits for the handlers. It does
    /// nothing that takes long: what it does not take out in time the client drops.
    async fn take(self: Arc<Self>, mut subscriber: Subscriber) {
        let mut handlers = JoinSet::new();
        let mut draining = false;
        loop {
            tokio::select! {
                message = subscriber.next() => match message {
                    Some(message) => self.hand_on(message, &mut handlers),
                    None => break,
                },
                Some(ended) = handlers.join_next() => report(ended),
                () = self.stop.cancelled(), if !draining => {
                    draining = true;
                    // Without a connection nothing is on its way.
                    if !self.connection.state().is_healthy() || subscriber.drain().await.is_err() {
                        break;
                    }
                }
            }
        }
        while let Some(ended) = handlers.join_next().await {
            report(ended);
        }
    }

    fn hand_on(self: &Arc<Self>, message: Message, handlers: &mut JoinSet<()>) {
        let size = message.payload.len();
        if size > self.lane.max_bytes() {
            return self.metrics.reject("TooLarge");
        }
        let Some(unopened) = self.place(size) else { return self.metrics.drop_unopened(self.lane) };
        let reply = message.reply.map(|reply| reply.to_string());
        // A copy of its own: what the client hands over keeps all that was read with it.
        let (subject, payload) = (message.subject.to_string(), message.payload.to_vec());
        let incoming = Incoming { lane: self.lane, subject, payload, reply, unopened };
        handlers.spawn(self.clone().handle(incoming));
    }

    fn place(&self, size: usize) -> Option<Unopened> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let bytes = self.bytes.clone().try_acquire_many_owned(u32::try_from(size).ok()?).ok()?;
        Some(Unopened { opening: self.opening.clone(), _place: place, _bytes: bytes })
    }

    async fn handle(self: Arc<Self>, incoming: Incoming) {
        let reply = incoming.reply.clone();
        let answer = (self.handler)(incoming).await;
        if let (Some(reply), Some(Answer { bytes, place })) = (reply, answer) {
            let publish = self.connection.client().publish(reply, bytes.into());
            if !matches!(timeout(HAND_OVER, publish).await, Ok(Ok(()))) {
                warn!("an answer could not be handed to the broker; it will be asked for again");
            }
            drop(place);
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        error!("a handler panicked: {panic}");
    }
}
