//! A connection with all that it was made from: told of newer credentials, keys and peers without a break, and able to
//! say with which credentials it is logged in.

use custody::config::Credentials;
use nkeys::KeyPair;
use protocol::envelope::Party;
use tokio::sync::watch;
use tracing::info;

use crate::{
    caller::Caller,
    link::Link,
    metrics::Metrics,
    options::{ConnectError, Options},
    server::Server,
    state::State,
};

/// Where the broker is, and whom it knows.
#[derive(Clone)]
pub struct Endpoint {
    /// `tls://host:port`, all of them.
    pub urls: Vec<String>,
    /// PEM of the only roots accepted for the broker.
    pub ca_pem: String,
    /// The user's NKey, with its seed.
    pub nkey: KeyPair,
}

/// How a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// Logged in, and nothing that is needed is refused.
    Connected {
        /// [`Credentials::generation`] of the credentials in use.
        generation: u64,
    },
    /// Does not answer, or refuses, in plain words.
    Away(String),
}

/// One connection to the broker, made once for an endpoint and a party.
pub struct Session {
    endpoint: Endpoint,
    link: Link,
    metrics: Metrics,
    party: watch::Sender<Party>,
    jwt: watch::Sender<String>,
    state: watch::Receiver<State>,
    offered: u64,
    in_use: Option<u64>,
}

impl Session {
    /// Starts connecting and returns at once, see [`Link::connect`].
    pub async fn open(
        endpoint: Endpoint,
        party: Party,
        credentials: Credentials,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        let Credentials { generation, user_jwt } = credentials;
        let (jwt, newest) = watch::channel(user_jwt);
        let options = Options {
            urls: endpoint.urls.clone(),
            ca_pem: endpoint.ca_pem.clone(),
            custody: party.custody(),
            role: party.role(),
            nkey: endpoint.nkey.clone(),
            jwt: newest,
        };
        let link = Link::connect(options).await?;
        info!(generation, "connecting to the broker");
        let state = link.state();
        let (party, _) = watch::channel(party);
        Ok(Self { endpoint, link, metrics, party, jwt, state, offered: generation, in_use: None })
    }

    /// Whether this session is for them; for others another one has to be opened.
    pub fn is_for(&self, endpoint: &Endpoint, party: &Party) -> bool {
        let own = &self.endpoint;
        own.urls == endpoint.urls
            && own.ca_pem == endpoint.ca_pem
            && own.nkey.public_key() == endpoint.nkey.public_key()
            && self.link.custody() == party.custody()
            && self.link.role() == party.role()
    }

    /// From now on with these keys and peers.
    pub fn speak_as(&self, party: Party) {
        self.party.send_replace(party);
    }

    /// Another JWT makes the link log in anew with it.
    pub fn offer(&mut self, credentials: Credentials) {
        let Credentials { generation, user_jwt } = credentials;
        self.offered = generation;
        let changed = self.jwt.send_if_modified(|present| {
            let changed = *present != user_jwt;
            if changed {
                self.state.mark_unchanged();
                *present = user_jwt;
            }
            changed
        });
        if changed {
            info!(generation, "newer credentials for the broker");
        } else {
            self.in_use = self.in_use.map(|_| generation);
        }
    }

    /// How it is now. Asked again and again, it notices a login that used newer credentials.
    pub fn state(&mut self) -> SessionState {
        // Changed since another JWT was offered: the login since then used it.
        let changed = self.state.has_changed().unwrap_or(true);
        let present = self.state.borrow_and_update().clone();
        if !present.is_healthy() {
            self.in_use = None;
            return SessionState::Away(present.to_string());
        }
        if changed || self.in_use.is_none() {
            self.in_use = Some(self.offered);
        }
        SessionState::Connected { generation: self.in_use.unwrap_or(self.offered) }
    }

    /// Asks over this session, as whoever it speaks as at the time.
    pub fn caller(&self) -> Caller {
        Caller::new(self.link.clone(), self.party.subscribe(), self.metrics.clone())
    }

    /// Answers over this session, as whoever it speaks as at the time.
    pub fn server(&self) -> Server {
        Server::new(self.link.clone(), self.party.subscribe(), self.metrics.clone())
    }

    /// Ends the connection; stop what serves over it first.
    pub async fn close(self) {
        self.link.close().await;
    }
}
