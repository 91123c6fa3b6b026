//! A bare connection to the broker, with whatever credentials: it publishes anything, hears what it may, and keeps what
//! the broker complains of.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use async_nats::{Client, ConnectOptions, Event, ServerError, Subscriber};
use data_center::Credentials;
use futures::StreamExt;
use harness::nats::Nats;
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, timeout, timeout_at},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The connection.
pub(crate) struct Wire {
    pub(crate) client: Client,
    complaints: Mutex<mpsc::UnboundedReceiver<String>>,
}

/// A message as the broker saw it.
#[derive(Debug, Clone)]
pub(crate) struct Tapped {
    pub(crate) subject: String,
    pub(crate) reply: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Wire {
    /// Logs in.
    pub(crate) async fn connect(nats: &Nats, credentials: Credentials) -> Result<Self> {
        let Credentials { nkey, jwt } = credentials;
        let (heard, complaints) = mpsc::unbounded_channel();
        let client = ConnectOptions::with_jwt(jwt, move |nonce| {
            let signed = nkey.sign(&nonce).map_err(async_nats::AuthError::new);
            async move { signed }
        })
        .add_root_certificates(nats.ca_file())
        .require_tls(true)
        .tls_first()
        .ignore_discovered_servers()
        .subscription_capacity(65_536)
        .event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(said)) = event {
                let _ = heard.send(said);
            }
            std::future::ready(())
        })
        .connect(nats.url())
        .await?;
        Ok(Self { client, complaints: Mutex::new(complaints) })
    }

    /// Publishes; `reply` is where an answer would go.
    pub(crate) async fn publish(&self, subject: &str, reply: Option<&str>, bytes: Vec<u8>) -> Result<()> {
        match reply {
            Some(reply) => self.client.publish_with_reply(subject.to_owned(), reply.to_owned(), bytes.into()).await?,
            None => self.client.publish(subject.to_owned(), bytes.into()).await?,
        }
        Ok(())
    }

    /// Subscribes, and knows that the broker has taken it.
    pub(crate) async fn subscribe(&self, subject: &str) -> Result<Subscriber> {
        let subscriber = self.client.subscribe(subject.to_owned()).await?;
        timeout(PATIENCE, self.client.flush()).await??;
        Ok(subscriber)
    }

    /// Whether the broker refuses a publication or subscription: what it says of it.
    pub(crate) async fn refused(&self, subject: &str, queue: Option<&str>, publish: bool) -> Result<Option<String>> {
        let mut complaints = self.complaints.lock().await;
        let _subscriber = match queue {
            _ if publish => {
                self.client.publish(subject.to_owned(), "hello".into()).await?;
                None
            }
            None => Some(self.client.subscribe(subject.to_owned()).await?),
            Some(queue) => Some(self.client.queue_subscribe(subject.to_owned(), queue.to_owned()).await?),
        };
        // It answers in order, and nobody whose design we know may publish this.
        let marker = format!("nobody.may.publish.{}", self.client.new_inbox());
        self.client.publish(marker.clone(), "".into()).await?;
        let mut refused = None;
        loop {
            let said = timeout(PATIENCE, complaints.recv()).await.context("the broker says nothing")?;
            let said = said.context("the connection ended")?;
            if said.contains(&marker) {
                return Ok(refused);
            }
            refused = Some(said);
        }
    }
}

/// The next message for which `wanted` holds.
pub(crate) async fn next(subscriber: &mut Subscriber, wanted: impl Fn(&Tapped) -> bool) -> Result<Tapped> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let message = timeout_at(deadline, subscriber.next()).await.map_err(|_| anyhow!("nothing was tapped"))?;
        let tapped = tapped(message.context("the connection ended")?);
        if wanted(&tapped) {
            return Ok(tapped);
        }
    }
}

/// What the broker saw.
pub(crate) fn tapped(message: async_nats::Message) -> Tapped {
    Tapped {
        subject: message.subject.to_string(),
        reply: message.reply.map(|reply| reply.to_string()),
        bytes: message.payload.to_vec(),
    }
}
