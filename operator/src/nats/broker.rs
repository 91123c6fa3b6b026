//! Making the broker hold an account exactly as it was signed. A push that is answered with success proves nothing
//! (a foreign one is stored too, and locks the account out at the next restart), so every server is asked what it
//! holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, connection::State};
use futures::StreamExt;
use multisig_api::conditions::reason;
use natsauth::{Account, User, UserName};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::{calls::TIMEOUT, conditions::Finding};

/// Every server answers; who has not done so by then is down.
const GATHER: Duration = Duration::from_secs(3);
/// After the last answer, how long to wait for a slower server.
const QUIET: Duration = Duration::from_millis(300);
const SERVERS: &str = "$SYS.REQ.SERVER.PING.IDZ";

/// How to reach a broker as the SYS user that pushes accounts.
pub struct Access<'a> {
    /// `tls://host:port`, all of them.
    pub urls: &'a [String],
    /// PEM of the only roots accepted.
    pub ca_bundle: &'a str,
    /// Credentials file.
    pub creds: &'a str,
}

/// Why an account is not current.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The credentials file, the roots or an address can't be used.
    #[error("{0}")]
    Refused(String),
    /// No connection, or no answer.
    #[error("the broker does not answer: {0}; check nats.urls, the CA bundle, firewalls and the broker itself")]
    Unreachable(String),
    /// A server holds a JWT of the same account that is not ours and not older: it has to be signed anew.
    #[error("a server has another JWT of this account, issued at {0}, that the operator did not push")]
    Overtaken(i64),
    /// Servers don't hold what was pushed.
    #[error("{current} of {servers} servers have the current account{why}")]
    NotCurrent {
        /// Servers that do.
        current: usize,
        /// All servers that answer.
        servers: usize,
        /// What the broker said to the push.
        why: String,
    },
}

impl From<BrokerError> for Finding {
    fn from(error: BrokerError) -> Self {
        let reason = match error {
            BrokerError::Refused(_) => reason::NATS_SECRET_REFUSED,
            BrokerError::Unreachable(_) => reason::BROKER_UNREACHABLE,
            BrokerError::Overtaken(_) | BrokerError::NotCurrent { .. } => reason::ACCOUNT_NOT_CURRENT,
        };
        Finding::bad(reason, error.to_string())
    }
}

/// Connections to brokers, one per custody, kept while they work.
#[derive(Default)]
pub struct Brokers {
    known: Mutex<HashMap<String, (Vec<u8>, Client)>>,
}

impl Brokers {
    /// Makes every server hold `token` for `account`; returns how many there are. `owner` names whose connection it
    /// is.
    pub async fn ensure(
        &self,
        owner: &str,
        access: &Access<'_>,
        account: &str,
        token: &str,
    ) -> Result<usize, BrokerError> {
        let client = self.client(owner, access).await?;
        let result = ensure(&client, account, token).await;
        if matches!(result, Err(BrokerError::Unreachable(_))) {
            self.forget(owner);
        }
        result
    }

    /// The custody is gone, or its connection does not work.
    pub fn forget(&self, owner: &str) {
        self.lock().remove(owner);
    }

    async fn client(&self, owner: &str, access: &Access<'_>) -> Result<Client, BrokerError> {
        let digest = digest(access);
        let known = self.lock().get(owner).filter(|(known, _)| *known == digest).map(|(_, client)| client.clone());
        if let Some(client) = known.filter(|client| client.connection_state() == State::Connected) {
            return Ok(client);
        }
        let client = connect(access).await?;
        self.lock().insert(owner.to_owned(), (digest, client.clone()));
        Ok(client)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Vec<u8>, Client)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(access: &Access<'_>) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in access.urls.iter().map(String::as_str).chain([access.ca_bundle, access.creds]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

async fn connect(access: &Access<'_>) -> Result<Client, BrokerError> {
    let unusable = |what: &str| BrokerError::Refused(format!("{what}; correct it in the Secret or ConfigMap"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(access.ca_bundle.as_bytes()) {
        let certificate = certificate.map_err(|_| unusable("the broker's CA bundle is not valid PEM"))?;
        roots.add(certificate).map_err(|_| unusable("the broker's CA bundle contains an unusable certificate"))?;
    }
    if roots.is_empty() {
        return Err(unusable("the broker's CA bundle contains no certificate"));
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BrokerError::Refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let addresses = access.urls.iter().map(|url| url.parse()).collect::<Result<Vec<async_nats::ServerAddr>, _>>();
    let addresses = addresses.map_err(|error| BrokerError::Refused(format!("nats.urls: {error}")))?;
    let options = ConnectOptions::with_credentials(access.creds)
        .map_err(|_| unusable("the credentials of the SYS user are not a NATS credentials file"))?
        .name("multisig-operator")
        .custom_inbox_prefix(inbox_prefix(access.creds))
        .tls_client_config(tls)
        .require_tls(true)
        .tls_first()
        .ignore_discovered_servers()
        .connection_timeout(TIMEOUT)
        .max_reconnects(3);
    match tokio::time::timeout(TIMEOUT, options.connect(addresses)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(BrokerError::Unreachable(error.to_string())),
        Err(_) => Err(BrokerError::Unreachable(format!("no connection within {} s", TIMEOUT.as_secs()))),
    }
}

/// The user's own inbox, by the name in its JWT.
fn inbox_prefix(creds: &str) -> String {
    let jwt = creds.lines().map(str::trim).find(|line| line.starts_with("eyJ"));
    let name = jwt
        .and_then(|jwt| natsauth::decode_unverified::<User>(jwt).ok())
        .and_then(|claims| claims.name.parse::<UserName>().ok());
    name.map_or_else(|| "_INBOX".to_owned(), |name| format!("_INBOX.{name}"))
}

async fn ensure(client: &Client, account: &str, token: &str) -> Result<usize, BrokerError> {
    let held = look_up(client, account, token).await?;
    if held.is_current() {
        return Ok(held.servers);
    }
    if let Some(newest) = held.newest_other.filter(|newest| Some(*newest) >= issued_at(token)) {
        return Err(BrokerError::Overtaken(newest));
    }
    let update = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.UPDATE");
    let answers = gather(client, &update, token.as_bytes(), held.servers).await?;
    match look_up(client, account, token).await? {
        held if held.is_current() => Ok(held.servers),
        Held { current, servers, .. } => Err(BrokerError::NotCurrent { current, servers, why: refusals(&answers) }),
    }
}

/// What the servers hold of an account.
struct Held {
    /// Servers that hold exactly the JWT wanted.
    current: usize,
    /// Servers that answer at all.
    servers: usize,
    /// When the newest of the others was issued.
    newest_other: Option<i64>,
}

impl Held {
    fn is_current(&self) -> bool {
        self.current == self.servers
    }
}

async fn look_up(client: &Client, account: &str, token: &str) -> Result<Held, BrokerError> {
    let subject = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP");
    let servers = gather(client, SERVERS, b"", usize::MAX).await?.len();
    if servers == 0 {
        return Err(BrokerError::Unreachable("no server answers the requests of the SYS user".to_owned()));
    }
    let answers = gather(client, &subject, b"", servers).await?;
    let (same, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.as_slice() == token.as_bytes());
    let times = others.into_iter().filter_map(|other| issued_at(std::str::from_utf8(other).ok()?));
    Ok(Held { current: same.len(), servers, newest_other: times.max() })
}

fn issued_at(token: &str) -> Option<i64> {
    natsauth::decode_unverified::<Account>(token).ok().map(|claims| claims.iat)
}

/// What the servers said against a push.
fn refusals(answers: &[Vec<u8>]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        description: String,
    }
    let descriptions = answers.iter().filter_map(|answer| serde_json::from_slice::<Answer>(answer).ok()?.error);
    descriptions.map(|error| format!(": {}", error.description)).next().unwrap_or_default()
}

/// All answers to one request: until `expected` have come, or none has for a while.
async fn gather(client: &Client, subject: &str, body: &[u8], expected: usize) -> Result<Vec<Vec<u8>>, BrokerError> {
    let unreachable = |error: &dyn std::fmt::Display| BrokerError::Unreachable(error.to_string());
    let deadline = Instant::now() + GATHER;
    let work = async {
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| unreachable(&error))?;
        client
            .publish_with_reply(subject.to_owned(), inbox, body.to_vec().into())
            .await
            .map_err(|error| unreachable(&error))?;
        client.flush().await.map_err(|error| unreachable(&error))?;
        let mut found = Vec::new();
        let mut until = deadline;
        while found.len() < expected {
            match timeout_at(until, answers.next()).await {
                // The server itself says that nobody listens: a permission is missing, or this is not a SYS user.
                Ok(Some(message)) if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) => break,
                Ok(Some(message)) => {
                    found.push(message.payload.to_vec());
                    until = deadline.min(Instant::now() + QUIET);
                }
                Ok(None) | Err(_) => break,
            }
        }
        Ok(found)
    };
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(unreachable(&"no answer in time")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use natsauth::user_claims;
    use nkeys::KeyPair;

    #[test]
    fn the_inbox_is_the_users_own() {
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let name: UserName = "push".parse().unwrap();
        let claims = user_claims(&name, &user.public_key(), &account.public_key(), 0, None);
        let jwt = natsauth::encode(claims, &account).unwrap();
        let creds = format!("-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n");
        assert_eq!(inbox_prefix(&creds), "_INBOX.push");
        assert_eq!(inbox_prefix("nonsense"), "_INBOX");
    }

    #[test]
    fn what_a_server_says_against_a_push_is_told() {
        let answers = [
            br#"{"server":{},"data":{"code":200,"message":"jwt updated"}}"#.to_vec(),
            br#"{"server":{},"error":{"code":500,"description":"jwt validation failed"}}"#.to_vec(),
        ];
        assert_eq!(refusals(&answers), ": jwt validation failed");
        assert_eq!(refusals(&answers[..1]), "");
    }
}
