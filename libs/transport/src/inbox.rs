//! Replies, brought to whoever waits for them. One subscription serves all requests of a connection. Unlike the
//! client's own it forgets a request that nobody waits for any more, and lets one wait on when a reply was not the right one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{Client, Message, StatusCode, Subscriber};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Replies kept for one request. One is right; a few wrong ones before it do no harm.
const REPLIES_PER_REQUEST: usize = 8;

pub(crate) enum Reply {
    Bytes(Vec<u8>),
    NoResponders,
}

type Waiting = Arc<Mutex<HashMap<u64, mpsc::Sender<Reply>>>>;

pub(crate) struct Inbox {
    prefix: String,
    next: AtomicU64,
    waiting: Waiting,
}

impl Inbox {
    /// Subscribes a subject of its own below the user's inbox, until `stop`: a subscription keeps its connection.
    pub(crate) async fn open(client: &Client, stop: CancellationToken) -> Result<Self, async_nats::SubscribeError> {
        let prefix = client.new_inbox();
        let subscriber = client.subscribe(format!("{prefix}.*")).await?;
        let waiting = Waiting::default();
        let deliver = deliver(subscriber, waiting.clone());
        tokio::spawn(async move { stop.run_until_cancelled(deliver).await });
        Ok(Self { prefix, next: AtomicU64::new(0), waiting })
    }

    /// A reply subject for one request and the replies to it.
    pub(crate) fn expect(&self) -> (String, Replies) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(REPLIES_PER_REQUEST);
        lock(&self.waiting).insert(token, sender);
        (format!("{}.{token}", self.prefix), Replies { token, receiver, waiting: self.waiting.clone() })
    }
}

async fn deliver(mut subscriber: Subscriber, waiting: Waiting) {
    while let Some(message) = subscriber.next().await {
        let token = message.subject.rsplit('.').next().and_then(|token| token.parse().ok());
        let waiter = token.and_then(|token: u64| lock(&waiting).get(&token).cloned());
        if let Some(waiter) = waiter {
            // Full only when somebody sends rubbish faster than it is looked at.
            let _ = waiter.try_send(reply(message));
        }
    }
}

fn reply(message: Message) -> Reply {
    match message.status {
        Some(StatusCode::NO_RESPONDERS) => Reply::NoResponders,
        _ => Reply::Bytes(message.payload.into()),
    }
}

/// The replies to one request, as they come; nothing about them is verified.
pub(crate) struct Replies {
    token: u64,
    receiver: mpsc::Receiver<Reply>,
    waiting: Waiting,
}

impl Replies {
    /// The next; `None` when the connection was closed.
    pub(crate) async fn next(&mut self) -> Option<Reply> {
        self.receiver.recv().await
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.token);
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Reply>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
