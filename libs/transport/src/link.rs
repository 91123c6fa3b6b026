//! The link: made once, kept for ever, observable.

use std::sync::Arc;

use custody::{CustodyId, Role};
use protocol::subject::{Lane, subject};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    connection::{Connection, Connections, HAND_OVER, keep},
    inbox::{Inbox, Replies},
    options::{ConnectError, Options},
    state::State,
};

/// Why a request did not leave.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nothing is kept for later: whoever asks decides whether it still matters then.
    #[error("{0}")]
    NotConnected(State),
    /// Beyond what the broker takes, or the lane.
    #[error(
        "the message has {size} bytes, at most {most} may be sent here; split it, or compare the broker's max_payload"
    )]
    TooLarge {
        /// Of the message.
        size: usize,
        /// The lesser of the two limits.
        most: usize,
    },
    /// The client took nothing in time.
    #[error("the connection to the broker takes no more messages at the moment")]
    Stuck,
    /// No connection can be made for a lane.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// The way to the broker: a connection to ask over, and one for each lane that is served. The broker brings a connection
/// its messages in their order and cuts off one that does not keep up, so a flooded lane must share none. Clones are the
/// same link.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    options: Options,
    asking: Connection,
    inbox: Inbox,
    connections: Arc<Connections>,
    /// Ends the keeper with the last clone.
    _keeper: DropGuard,
}

impl Link {
    /// Starts connecting and returns at once: a broker that is away is not an error, see [`Self::state`]. Must be called
    /// in a tokio runtime.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let connections = Connections::new();
        let asking = Connection::open(&options, &connections).await?;
        let stop = CancellationToken::new();
        let inbox = Inbox::open(asking.client(), stop.clone()).await;
        let inbox = inbox.map_err(|error| ConnectError::Client(error.to_string()))?;
        tokio::spawn(keep(connections.clone(), options.jwt.clone(), stop.clone()));
        Ok(Self(Arc::new(Inner { options, asking, inbox, connections, _keeper: stop.drop_guard() })))
    }

    /// How the link is, now and whenever that changes: healthy when each of its connections is.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.connections.state()
    }

    /// Whose subjects.
    pub fn custody(&self) -> CustodyId {
        self.0.options.custody
    }

    /// Who speaks.
    pub fn role(&self) -> Role {
        self.0.options.role
    }

    /// The subject on which `to` listens to `lane`.
    pub(crate) fn subject(&self, to: Role, lane: Lane) -> String {
        subject(self.custody(), to, lane)
    }

    /// Publishes `bytes` to `to` and returns what may be replied. Nothing is kept for later while not connected.
    pub(crate) async fn request(&self, to: Role, lane: Lane, bytes: Vec<u8>) -> Result<Replies, RequestError> {
        let asking = &self.0.asking;
        let state = asking.state();
        if !state.is_logged_in() {
            return Err(RequestError::NotConnected(state));
        }
        let most = lane.max_bytes().min(asking.client().max_payload());
        if bytes.len() > most {
            return Err(RequestError::TooLarge { size: bytes.len(), most });
        }
        let (inbox, replies) = self.0.inbox.expect();
        let publish = asking.client().publish_with_reply(self.subject(to, lane), inbox, bytes.into());
        match timeout(HAND_OVER, publish).await {
            Ok(Ok(())) => Ok(replies),
            _ => Err(RequestError::Stuck),
        }
    }

    /// One more connection of this link. Where the broker is there, it is logged in when this returns.
    pub(crate) async fn another(&self) -> Result<Connection, ConnectError> {
        let connection = Connection::open(&self.0.options, &self.0.connections).await?;
        if self.0.asking.state().is_logged_in() {
            connection.logged_in(HAND_OVER).await;
        }
        Ok(connection)
    }

    /// Writes out what was published so far, and closes. Stop [`Serving`](crate::Serving)s first: what is answered
    /// after this is lost.
    pub async fn close(&self) {
        self.0.asking.close().await;
        self.0.connections.close();
    }
}
