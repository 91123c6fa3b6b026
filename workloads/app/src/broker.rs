//! The connection to the broker: begun when the operator has delivered credentials, told of newer ones without a break.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use custody::{
    Role,
    config::{CREDENTIALS_KEY, Credentials},
};
use futures::future::BoxFuture;
use protocol::{
    envelope::{Party, PeerError, Peers},
    ops::{Operation, Request, Response},
    subject::Lane,
};
use tokio::{sync::watch, time::Instant};
use transport::{Caller, Link, Options};
use zeroize::Zeroize;

use crate::{
    app::App,
    config::Settings,
    health::State,
    identity::AppKeys,
    signers::{Away, Transport},
};

/// How often the credentials' file and the connection's state are looked at.
const POLL: Duration = Duration::from_secs(1);

/// Asks the signers over the broker, once there is a connection.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<OnceLock<Caller>>);

impl Transport for Calls {
    fn ask(&self, signer: Role, request: Request, deadline: Instant) -> BoxFuture<'_, Result<Response, Away>> {
        Box::pin(async move {
            let request = Wiped(request);
            let away = |why: String| Away::Silent { signer, why };
            let caller = self.0.get().ok_or_else(|| away("App has no credentials for the broker yet".to_owned()))?;
            caller.call(signer, Lane::Op, &request.0, deadline).await.map_err(|error| away(error.to_string()))
        })
    }
}

/// A request whose client key is wiped once it is sent, or given up.
struct Wiped(Request);

impl Drop for Wiped {
    fn drop(&mut self) {
        match &mut self.0.operation {
            Some(Operation::CreateWallet(create)) => create.client_key.zeroize(),
            Some(Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment)) => {
                payment.client_key.zeroize();
            }
            _ => {}
        }
    }
}

/// All that a connection is made from.
pub(crate) struct Broker {
    calls: Calls,
    metrics: transport::Metrics,
    keys: AppKeys,
    party: Party,
    urls: Vec<String>,
    ca_pem: String,
    credentials_file: PathBuf,
}

/// An open connection.
struct Connection {
    link: Link,
    jwt: watch::Sender<String>,
    /// Keys and peers stay as configured: a change of them is a restart.
    _party: watch::Sender<Party>,
}

impl Broker {
    pub(crate) fn new(
        settings: &Settings,
        keys: AppKeys,
        calls: Calls,
        metrics: transport::Metrics,
    ) -> Result<Self, PeerError> {
        let custody = settings.manifest.custody_id();
        let party = Party::new(custody, Role::App, keys.own.clone(), Peers::new(&settings.signers)?)?;
        Ok(Self {
            calls,
            metrics,
            keys,
            party,
            urls: settings.nats_urls.clone(),
            ca_pem: settings.nats_ca.clone(),
            credentials_file: settings.credentials_file.clone(),
        })
    }

    /// Connects, keeps the credentials up to date, and says how it is; for ever.
    pub(crate) async fn keep(self, app: Arc<App>) {
        let mut connection = None;
        loop {
            app.health.broker(self.look(&mut connection).await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Brings the connection to what the credentials' file says; what is waited for, if anything.
    async fn look(&self, connection: &mut Option<Connection>) -> Option<(State, String)> {
        match (credentials(&self.credentials_file), &*connection) {
            // A file that is away for a moment ends no connection.
            (Err(message), None) => return Some((State::AwaitingCredentials, self.wanted(&message))),
            (Err(message), Some(_)) => tracing::debug!(why = message, "the old credentials stay"),
            (Ok(credentials), None) => match self.connect(credentials).await {
                Ok(made) => *connection = Some(made),
                Err(message) => return Some((State::Disconnected, message)),
            },
            (Ok(credentials), Some(connection)) => connection.offer(credentials),
        }
        let state = connection.as_ref().map(|connection| connection.link.state().borrow().clone())?;
        (!state.is_healthy()).then(|| (State::Disconnected, state.to_string()))
    }

    async fn connect(&self, credentials: Credentials) -> Result<Connection, String> {
        let (jwt, newest) = watch::channel(credentials.user_jwt);
        let options = Options {
            urls: self.urls.clone(),
            ca_pem: self.ca_pem.clone(),
            custody: self.party.custody(),
            role: Role::App,
            nkey: self.keys.nats.clone(),
            jwt: newest,
        };
        let link = Link::connect(options).await.map_err(|error| error.to_string())?;
        let (party, present) = watch::channel(self.party.clone());
        let caller = Caller::new(link.clone(), present, self.metrics.clone());
        // There is one connection in a process's life.
        let _ = self.calls.0.set(caller);
        tracing::info!(generation = credentials.generation, "connecting to the broker");
        Ok(Connection { link, jwt, _party: party })
    }

    fn wanted(&self, message: &str) -> String {
        let user = self.keys.nats.public_key();
        format!("{message}; the operator delivers them once spec.app.external.natsUser is {user}")
    }
}

impl Connection {
    /// Another JWT makes the link log in anew with it.
    fn offer(&self, credentials: Credentials) {
        let changed = self.jwt.send_if_modified(|present| {
            let changed = *present != credentials.user_jwt;
            *present = credentials.user_jwt;
            changed
        });
        if changed {
            tracing::info!(generation = credentials.generation, "newer credentials");
        }
    }
}

fn credentials(file: &Path) -> Result<Credentials, String> {
    let text =
        std::fs::read(file).map_err(|error| format!("no {CREDENTIALS_KEY} in {} yet ({error})", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("malformed credentials in {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_malformed_credentials_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(CREDENTIALS_KEY);
        assert!(credentials(&file).unwrap_err().starts_with("no credentials.json"));
        std::fs::write(&file, r#"{"generation": 1, "userJwt": "x", "seed": "SU"}"#).unwrap();
        assert!(credentials(&file).unwrap_err().starts_with("malformed"));
        std::fs::write(&file, r#"{"generation": 1, "userJwt": "x"}"#).unwrap();
        assert_eq!(credentials(&file).unwrap().generation, 1);
    }
}
