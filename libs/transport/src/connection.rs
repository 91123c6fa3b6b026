//! One connection to the broker, kept and restored by itself, and how all connections of a link are together.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Event};
use backoff::MAX_DELAY;
use futures::future::join_all;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    options::{ConnectError, Options, client_options, servers},
    state::State,
};

/// How long a command may wait for its place in the client's queue, and a flush for the network.
pub(crate) const HAND_OVER: Duration = Duration::from_secs(2);

/// A connection; no further attempt to connect is made once it is dropped.
pub(crate) struct Connection {
    client: Client,
    state: Arc<watch::Sender<State>>,
    closed: Arc<AtomicBool>,
    all: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        self.all.remove(&self.state);
    }
}

impl Connection {
    /// Starts connecting, as one of `all`, and returns at once.
    pub(crate) async fn open(options: &Options, all: &Arc<Connections>) -> Result<Self, ConnectError> {
        let servers = servers(&options.urls)?;
        let closed = Arc::new(AtomicBool::new(false));
        let state = Arc::new(watch::channel(State::starting()).0);
        let on_event = {
            let (state, all) = (state.clone(), all.clone());
            move |event| {
                all.observe(&state, &event);
                std::future::ready(())
            }
        };
        let client = client_options(options, closed.clone())?
            .event_callback(on_event)
            .connect(&servers[..])
            .await
            .map_err(|error| ConnectError::Client(error.to_string()))?;
        all.add(One { client: client.clone(), state: state.clone() });
        Ok(Self { client, state, closed, all: all.clone() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Of this one alone.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it is logged in, for at most `patience`.
    pub(crate) async fn logged_in(&self, patience: Duration) {
        let mut state = self.state.subscribe();
        let _ = timeout(patience, state.wait_for(State::is_logged_in)).await;
    }

    /// Writes out what was published so far.
    pub(crate) async fn flush(&self) {
        if self.state.borrow().is_healthy() {
            let _ = timeout(HAND_OVER, self.client.flush()).await;
        }
    }

    /// Writes out what was published so far, and closes.
    pub(crate) async fn close(&self) {
        self.flush().await;
        let _ = timeout(HAND_OVER, self.client.drain()).await;
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// All connections of a link. It is healthy when each of them is.
pub(crate) struct Connections {
    each: Mutex<Vec<One>>,
    together: watch::Sender<State>,
}

#[derive(Clone)]
struct One {
    client: Client,
    state: Arc<watch::Sender<State>>,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { each: Mutex::default(), together: watch::channel(State::starting()).0 })
    }

    /// How they are together, now and whenever that changes.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.together.subscribe()
    }

    /// For good.
    pub(crate) fn close(&self) {
        self.together.send_replace(State::Closed);
    }

    fn add(&self, one: One) {
        self.each().push(one);
        self.tell();
    }

    fn remove(&self, state: &Arc<watch::Sender<State>>) {
        self.each().retain(|one| !Arc::ptr_eq(&one.state, state));
        self.tell();
    }

    fn observe(&self, state: &watch::Sender<State>, event: &Event) {
        let changed = state.send_if_modified(|state| match state.after(event) {
            Some(next) if next != *state => {
                *state = next;
                true
            }
            _ => false,
        });
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        let each = self.each();
        let Some(worst) = worst(each.iter().map(|one| one.state.borrow().clone())) else { return };
        self.together.send_if_modified(|state| {
            let changes = *state != State::Closed && *state != worst;
            if changes {
                match worst.is_healthy() {
                    true => info!("{worst}"),
                    false => warn!("{worst}"),
                }
                *state = worst;
            }
            changes
        });
    }

    /// Logs in anew with each connection whose state is one of these, with the newest JWT. The link is not healthy
    /// before all of them are back. One that is not there uses the newest JWT with its next attempt anyway.
    async fn log_in_anew(&self, which: impl Fn(&State) -> bool) {
        let chosen = |one: &&One| {
            let state = one.state.borrow();
            state.is_logged_in() && which(&state)
        };
        let chosen: Vec<One> = self.each().iter().filter(chosen).cloned().collect();
        for one in &chosen {
            one.state.send_replace(State::Disconnected { why: "logging in anew".to_owned() });
        }
        self.tell();
        join_all(chosen.into_iter().map(|One { client, .. }| async move {
            let _ = timeout(HAND_OVER, client.flush()).await;
            // It fails only where the client is gone.
            while timeout(HAND_OVER, client.force_reconnect()).await.is_err() {}
        }))
        .await;
    }

    fn each(&self) -> MutexGuard<'_, Vec<One>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first that is not healthy.
fn worst(states: impl Iterator<Item = State>) -> Option<State> {
    let mut any = None;
    for state in states {
        if !state.is_healthy() {
            return Some(state);
        }
        any = Some(state);
    }
    any
}

/// Logs in anew when there is another JWT, and from time to time while the broker refuses what the role needs: the
/// client asks for a refused subscription only once a connection.
pub(crate) async fn keep(connections: Arc<Connections>, mut jwt: watch::Receiver<String>, stop: CancellationToken) {
    jwt.mark_unchanged();
    let mut replaceable = true;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = jwt.changed(), if replaceable => match changed {
                Ok(()) => connections.log_in_anew(|_| true).await,
                Err(_) => replaceable = false,
            },
            () = refused_for_long(connections.state()) => connections.log_in_anew(State::is_refused).await,
        }
    }
}

/// Returns when the broker has refused something for [`MAX_DELAY`].
async fn refused_for_long(mut state: watch::Receiver<State>) {
    while state.wait_for(State::is_refused).await.is_ok() {
        if timeout(MAX_DELAY, state.wait_for(|state| !state.is_refused())).await.is_err() {
            return;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_as_the_first_of_its_connections_that_is_not_healthy() {
        let lost = || State::Disconnected { why: "lost".to_owned() };
        assert_eq!(worst([State::Connected, lost(), State::AuthorizationViolation].into_iter()), Some(lost()));
        assert_eq!(worst([State::Connected, State::Connected].into_iter()), Some(State::Connected));
        assert_eq!(worst([].into_iter()), None);
    }
}
