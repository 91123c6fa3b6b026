//! The session with the broker: begun when the operator has delivered credentials, told of newer ones without a break.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use custody::{
    Role,
    config::{CREDENTIALS_KEY, Credentials},
};
use protocol::envelope::{Party, PeerError, Peers};
use transport::{Endpoint, Session, SessionState};

use crate::{app::App, calls::Calls, config::Settings, health::State, identity::AppKeys};

/// How often the credentials' file and the connection's state are looked at.
const POLL: Duration = Duration::from_secs(1);

/// All that a session is made from.
pub(crate) struct Broker {
    calls: Calls,
    metrics: transport::Metrics,
    endpoint: Endpoint,
    /// Keys and peers stay as configured: a change of them is a restart.
    party: Party,
    credentials_file: PathBuf,
}

impl Broker {
    pub(crate) fn new(
        settings: &Settings,
        keys: AppKeys,
        calls: Calls,
        metrics: transport::Metrics,
    ) -> Result<Self, PeerError> {
        let custody = settings.manifest.custody_id();
        let party = Party::new(custody, Role::App, keys.own, Peers::new(&settings.signers)?)?;
        let (urls, ca_pem) = (settings.nats_urls.clone(), settings.nats_ca.clone());
        let endpoint = Endpoint { urls, ca_pem, nkey: keys.nats };
        Ok(Self { calls, metrics, endpoint, party, credentials_file: settings.credentials_file.clone() })
    }

    /// Connects, keeps the credentials up to date, and says how it is; for ever.
    pub(crate) async fn keep(self, app: Arc<App>) {
        let mut session = None;
        loop {
            app.health.broker(self.look(&mut session).await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Brings the session to what the credentials' file says; what is waited for, if anything.
    async fn look(&self, session: &mut Option<Session>) -> Option<(State, String)> {
        match (credentials(&self.credentials_file), &mut *session) {
            // A file that is away for a moment ends no session.
            (Err(message), None) => return Some((State::AwaitingCredentials, self.wanted(&message))),
            (Err(message), Some(_)) => tracing::debug!(why = message, "the old credentials stay"),
            (Ok(credentials), None) => match self.open(credentials).await {
                Ok(opened) => *session = Some(opened),
                Err(message) => return Some((State::Disconnected, message)),
            },
            (Ok(credentials), Some(session)) => session.offer(credentials),
        }
        match session.as_mut()?.state() {
            SessionState::Connected { .. } => None,
            SessionState::Away(why) => Some((State::Disconnected, why)),
        }
    }

    async fn open(&self, credentials: Credentials) -> Result<Session, String> {
        let session = Session::open(self.endpoint.clone(), self.party.clone(), credentials, self.metrics.clone()).await;
        let session = session.map_err(|error| error.to_string())?;
        // There is one session in a process's life.
        self.calls.connected(session.caller());
        Ok(session)
    }

    fn wanted(&self, message: &str) -> String {
        let user = self.endpoint.nkey.public_key();
        format!("{message}; the operator delivers them once spec.app.external.natsUser is {user}")
    }
}

fn credentials(file: &Path) -> Result<Credentials, String> {
    let text =
        text_file::read(file).map_err(|error| format!("no {CREDENTIALS_KEY} in {} yet ({error})", file.display()))?;
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
