//! Serving: bounded, in the role's queue group, and stopped without losing what was taken.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use protocol::subject::{Lane, queue};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, error, warn};

use crate::connection::{Link, RequestError};

/// Messages that are told at the same time that there are too many.
const REFUSALS: usize = 16;
/// How long a subscription may take to reach the client.
const HAND_OVER: Duration = Duration::from_secs(2);

/// How much is taken on at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Handlers that run at the same time.
    pub concurrency: usize,
    /// Messages that wait for a handler; beyond, callers are told to ask again, or hear nothing.
    pub queue: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { concurrency: 64, queue: 512 }
    }
}

/// A message as the broker brought it; nothing about it is verified.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Of the subscription.
    pub(crate) lane: Lane,
    /// Where it was published.
    pub(crate) subject: String,
    /// The envelope.
    pub(crate) payload: Vec<u8>,
    /// Where a reply is expected.
    pub(crate) reply: Option<String>,
    /// Too much is going on to serve it: only say so.
    pub(crate) overloaded: bool,
}

/// Ends with [`Serving::stop`], or without a goodbye when it is dropped.
pub struct Serving {
    link: Link,
    lanes: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Serving {
    /// Takes nothing more, lets the handlers finish for at most `grace`, and writes out their replies. Says whether
    /// all finished.
    pub async fn stop(mut self, grace: Duration) -> bool {
        self.stop.cancel();
        let finished = timeout(grace, futures::future::join_all(&mut self.lanes)).await.is_ok();
        self.lanes.iter().for_each(JoinHandle::abort);
        self.link.flush().await;
        finished
    }
}

/// What the tasks of one [`Serving`] share.
struct Shared<H> {
    link: Link,
    handler: H,
    running: Semaphore,
    admitted: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Link {
    /// Subscribes the role's own `lanes` in its queue group and hands each message to `handler`; what that returns is
    /// the reply.
    pub(crate) async fn serve<H, F>(&self, lanes: &[Lane], bounds: Bounds, handler: H) -> Result<Serving, RequestError>
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        let Bounds { concurrency, queue: waiting } = bounds;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let shared = Arc::new(Shared {
            link: self.clone(),
            handler,
            running: Semaphore::new(concurrency),
            admitted: Arc::new(Semaphore::new(concurrency + waiting)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            stop: stop.clone(),
        });
        let mut tasks = Vec::new();
        for &lane in lanes {
            let subject = self.subject(self.role(), lane);
            let subscribe = self.client().queue_subscribe(subject, queue(self.role()).to_owned());
            let subscriber = match timeout(HAND_OVER, subscribe).await {
                Ok(Ok(subscriber)) => subscriber,
                _ => return Err(RequestError::Stuck),
            };
            tasks.push(tokio::spawn(shared.clone().take(lane, subscriber)));
        }
        Ok(Serving { link: self.clone(), lanes: tasks, stop, _guard: guard })
    }
}

impl<H, F> Shared<H>
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Option<Vec<u8>>> + Send + 'static,
{
    /// Takes messages until it is told to stop, then those that are on their way, then waits for the handlers.
    async fn take(self: Arc<Self>, lane: Lane, mut subscriber: Subscriber) {
        let mut handlers = JoinSet::new();
        let mut draining = false;
        loop {
            tokio::select! {
                message = subscriber.next() => match message {
                    Some(message) => self.admit(lane, message, &mut handlers),
                    None => break,
                },
                Some(ended) = handlers.join_next() => report(ended),
                () = self.stop.cancelled(), if !draining => {
                    draining = true;
                    // Without a connection nothing is on its way.
                    if !self.link.state().borrow().is_healthy() || subscriber.drain().await.is_err() {
                        break;
                    }
                }
            }
        }
        while let Some(ended) = handlers.join_next().await {
            report(ended);
        }
    }

    fn admit(self: &Arc<Self>, lane: Lane, message: Message, handlers: &mut JoinSet<()>) {
        let (permit, overloaded) = match self.admitted.clone().try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => match self.refusals.clone().try_acquire_owned() {
                Ok(permit) => (permit, true),
                Err(_) => return debug!("too many messages, one was dropped"),
            },
        };
        let shared = self.clone();
        handlers.spawn(async move {
            let _permit = permit;
            shared.handle(lane, message, overloaded).await;
        });
    }

    async fn handle(&self, lane: Lane, message: Message, overloaded: bool) {
        // Closed by nobody; a message that is only refused needs no turn.
        let _turn = if overloaded { None } else { self.running.acquire().await.ok() };
        let reply = message.reply.map(|reply| reply.to_string());
        let subject = message.subject.to_string();
        let incoming = Incoming { lane, subject, payload: message.payload.into(), reply: reply.clone(), overloaded };
        let answer = (self.handler)(incoming).await;
        if let (Some(reply), Some(answer)) = (reply, answer) {
            let publish = self.link.client().publish(reply, answer.into());
            if !matches!(timeout(HAND_OVER, publish).await, Ok(Ok(()))) {
                warn!("an answer could not be handed to the broker; it will be asked for again");
            }
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        error!("a handler panicked: {panic}");
    }
}
