//! The connection: made once, kept for ever, observable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Event};
use backoff::MAX_DELAY;
use custody::{CustodyId, Role};
use protocol::{
    envelope::MAX_BYTES,
    subject::{Lane, subject},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::{
    inbox::{Inbox, Replies},
    options::{ConnectError, Options, client_options, servers},
    state::State,
};

/// How long a command may wait for its place in the client's queue, and a flush for the network.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Why a request did not leave.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nothing is kept for later: whoever asks decides whether it still matters then.
    #[error("{0}")]
    NotConnected(State),
    /// Beyond what the broker takes, or the protocol allows.
    #[error("the message has {size} bytes, at most {most} may be sent; the broker's max_payload has to be {MAX_BYTES}")]
    TooLarge {
        /// Of the message.
        size: usize,
        /// The lesser of the two limits.
        most: usize,
    },
    /// The client took nothing in time.
    #[error("the connection to the broker takes no more messages at the moment")]
    Stuck,
}

/// A connection to the broker, kept and restored by itself. Clones are the same connection.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    inbox: Inbox,
    custody: CustodyId,
    role: Role,
    state: watch::Receiver<State>,
    set_state: Arc<watch::Sender<State>>,
    closed: Arc<AtomicBool>,
    /// Ends the keeper with the last clone.
    _keeper: DropGuard,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl Link {
    /// Starts connecting and returns at once: a broker that is away is not an error, see [`Self::state`]. Must be called
    /// in a tokio runtime.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let servers = servers(&options.urls)?;
        let closed = Arc::new(AtomicBool::new(false));
        let (set_state, state) = watch::channel(State::starting());
        let set_state = Arc::new(set_state);
        let on_event = {
            let set_state = set_state.clone();
            move |event| {
                observe(&set_state, &event);
                std::future::ready(())
            }
        };
        let refused = |error: &dyn std::error::Error| ConnectError::Client(error.to_string());
        let client = client_options(&options, closed.clone())?
            .event_callback(on_event)
            .connect(&servers[..])
            .await
            .map_err(|error| refused(&error))?;
        let stop = CancellationToken::new();
        let inbox = Inbox::open(&client, stop.clone()).await.map_err(|error| refused(&error))?;
        tokio::spawn(keep(client.clone(), options.jwt, state.clone(), stop.clone()));
        let (custody, role, keeper) = (options.custody, options.role, stop.drop_guard());
        Ok(Self(Arc::new(Inner { client, inbox, custody, role, state, set_state, closed, _keeper: keeper })))
    }

    /// How the connection is, now and whenever that changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.clone()
    }

    /// Whose subjects.
    pub fn custody(&self) -> CustodyId {
        self.0.custody
    }

    /// Who speaks.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The subject on which `to` listens to `lane`.
    pub(crate) fn subject(&self, to: Role, lane: Lane) -> String {
        subject(self.0.custody, to, lane)
    }

    /// Publishes `bytes` to `to` and returns what may be replied. Nothing is kept for later while not connected.
    pub(crate) async fn request(&self, to: Role, lane: Lane, bytes: Vec<u8>) -> Result<Replies, RequestError> {
        let state = self.0.state.borrow().clone();
        if !is_logged_in(&state) {
            return Err(RequestError::NotConnected(state));
        }
        let most = MAX_BYTES.min(self.0.client.max_payload());
        if bytes.len() > most {
            return Err(RequestError::TooLarge { size: bytes.len(), most });
        }
        let (inbox, replies) = self.0.inbox.expect();
        let publish = self.0.client.publish_with_reply(self.subject(to, lane), inbox, bytes.into());
        match timeout(HAND_OVER, publish).await {
            Ok(Ok(())) => Ok(replies),
            _ => Err(RequestError::Stuck),
        }
    }

    /// Writes out what was published so far, and closes. Stop [`Serving`](crate::Serving)s first: what is answered
    /// after this is lost.
    pub async fn close(&self) {
        let _ = timeout(HAND_OVER, self.flush()).await;
        let _ = timeout(HAND_OVER, self.0.client.drain()).await;
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.set_state.send_replace(State::Closed);
    }

    pub(crate) async fn flush(&self) {
        if self.0.state.borrow().is_healthy() {
            let _ = timeout(HAND_OVER, self.0.client.flush()).await;
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }
}

fn observe(state: &watch::Sender<State>, event: &Event) {
    state.send_if_modified(|state| match state.after(event) {
        Some(next) if next != *state => {
            match next.is_healthy() {
                true => info!("{next}"),
                false => warn!("{next}"),
            }
            *state = next;
            true
        }
        _ => false,
    });
}

/// Logs in anew when there is another JWT, and from time to time while the broker refuses what the role needs: the
/// client asks for a refused subscription only once a connection.
async fn keep(
    client: Client,
    mut jwt: watch::Receiver<String>,
    state: watch::Receiver<State>,
    stop: CancellationToken,
) {
    jwt.mark_unchanged();
    let mut replaceable = true;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = jwt.changed(), if replaceable => if changed.is_err() {
                replaceable = false;
                continue;
            },
            () = refused_for_long(state.clone()) => {}
        }
        // While disconnected the next attempt uses the newest JWT anyway.
        if is_logged_in(&state.borrow()) {
            let _ = timeout(HAND_OVER, client.flush()).await;
            let _ = timeout(HAND_OVER, client.force_reconnect()).await;
        }
    }
}

/// Returns when the broker has refused something for [`MAX_DELAY`].
async fn refused_for_long(mut state: watch::Receiver<State>) {
    let refused = |state: &State| matches!(state, State::PermissionsViolation { .. });
    while state.wait_for(refused).await.is_ok() {
        if timeout(MAX_DELAY, state.wait_for(|state| !refused(state))).await.is_err() {
            return;
        }
    }
    std::future::pending().await
}

fn is_logged_in(state: &State) -> bool {
    matches!(state, State::Connected | State::PermissionsViolation { .. })
}
