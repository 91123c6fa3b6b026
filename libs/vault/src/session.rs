//! A workload's token: login with the projected service-account token (read again each time, as the kubelet renews
//! it), one login at a time however many ask, renewal at two thirds of its life, a new login when a renewal no longer
//! gives the full time or the Vault does not know the token any more.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use serde::de::DeserializeOwned;
use tokio::{sync::Mutex, time::Instant};
use vaultrs::{api::AuthInfo, client::VaultClient};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Connection, Error,
    connection::Request,
    error::{Failure, classify},
};

/// A token younger than this that is denied is not replaced: the policy is to blame, not the token.
const YOUNG: Duration = Duration::from_secs(10);

/// What a workload needs to know of its Vault; all of it comes from the member trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `https://host:port`.
    pub address: String,
    /// PEM of the only roots accepted.
    pub ca_bundle: String,
    /// Path of the JWT auth mount, without `auth/`.
    pub auth_mount: String,
    /// Role at that mount.
    pub role: String,
    /// Path of the Transit mount.
    pub transit_mount: String,
    /// Transit key.
    pub key: String,
    /// File with the projected service-account token.
    pub token_file: PathBuf,
}

/// A workload's Vault: logs in by itself whenever it has to.
pub struct Vault {
    pub(crate) settings: Settings,
    pub(crate) connection: Connection,
    session: ArcSwapOption<Session>,
    login: Mutex<Logins>,
}

/// A token with its times. The token itself is wiped on drop.
struct Session {
    client: VaultClient,
    since: Instant,
    ttl: Duration,
    full_ttl: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.client.middle.token.zeroize();
    }
}

/// The failed logins and renewals in a row, so that a crowd of callers does not become a crowd of logins.
#[derive(Default)]
struct Logins {
    failures: u32,
    last: Option<(Instant, Error)>,
}

impl Logins {
    /// Not again right after a failure.
    fn may_try(&self) -> bool {
        self.last.as_ref().is_none_or(|(at, _)| at.elapsed() >= backoff::delay(self.failures))
    }

    fn failed(&mut self, error: Error) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some((Instant::now(), error));
    }
}

/// What to do with a token before using it.
#[derive(Debug, PartialEq, Eq)]
enum Age {
    Fresh,
    Renew,
    Expired,
}

/// Renewal at two thirds of the time to live.
fn age(ttl: Duration, elapsed: Duration) -> Age {
    if elapsed >= ttl {
        Age::Expired
    } else if elapsed >= ttl * 2 / 3 {
        Age::Renew
    } else {
        Age::Fresh
    }
}

/// Near its `max_ttl` a token is renewed for less and less; below half of its first time a new login is due.
fn exhausted(full: Duration, granted: Duration) -> bool {
    granted < full / 2
}

impl Vault {
    /// Checks the settings; speaks to nobody yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let names = [&settings.auth_mount, &settings.role, &settings.transit_mount, &settings.key];
        for name in names {
            check_name(name)?;
        }
        let connection = Connection::new(&settings.address, &settings.ca_bundle)?;
        Ok(Self { settings, connection, session: ArcSwapOption::empty(), login: Mutex::default() })
    }

    /// The Vault's address, for messages.
    pub fn address(&self) -> &str {
        self.connection.address()
    }

    /// Sends `request` for the data of the answer.
    pub(crate) async fn call<R>(&self, request: &Request<'_>) -> Result<R, Error>
    where
        R: DeserializeOwned + Send + Sync,
    {
        self.in_time(async {
            let mut session = self.session().await?;
            loop {
                match self.meaning(request.path, request.send(&session.client).await) {
                    Err(error) => session = self.again(session, error).await?,
                    answer => return answer,
                }
            }
        })
        .await
    }

    /// Sends `request`; whatever is answered beside success is not read.
    pub(crate) async fn call_only(&self, request: &Request<'_>) -> Result<(), Error> {
        self.in_time(async {
            let mut session = self.session().await?;
            loop {
                match self.meaning(request.path, request.send_only(&session.client).await) {
                    Err(error) => session = self.again(session, error).await?,
                    answer => return answer,
                }
            }
        })
        .await
    }

    /// The token to try once more with after `error`: only one that was refused, and is not young, is replaced.
    async fn again(&self, session: Arc<Session>, error: Error) -> Result<Arc<Session>, Error> {
        match error {
            Error::Denied { .. } if session.since.elapsed() > YOUNG => self.replace(Some(&session)).await,
            other => Err(other),
        }
    }

    async fn in_time<T>(&self, exchange: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(crate::CALL_DEADLINE, exchange).await.unwrap_or_else(|_| {
            let cause = format!("no answer within {} s", crate::CALL_DEADLINE.as_secs());
            Err(Error::Away { address: self.address().to_owned(), cause })
        })
    }

    fn meaning<T>(&self, path: &str, outcome: Result<T, Failure>) -> Result<T, Error> {
        outcome.map_err(|failure| classify(self.address(), path, failure))
    }

    /// A usable token: the present one, renewed or replaced when it is time.
    async fn session(&self) -> Result<Arc<Session>, Error> {
        let Some(session) = self.session.load_full() else {
            return self.replace(None).await;
        };
        match age(session.ttl, session.since.elapsed()) {
            Age::Fresh => Ok(session),
            Age::Expired => self.replace(Some(&session)).await,
            Age::Renew => match self.login.try_lock() {
                Ok(mut logins) if logins.may_try() => self.renew(session, &mut logins).await,
                _ => Ok(session),
            },
        }
    }

    /// Asks for more time; a failed renewal does not fail the caller as long as the token lives.
    async fn renew(&self, session: Arc<Session>, logins: &mut Logins) -> Result<Arc<Session>, Error> {
        let renewed = vaultrs::token::renew_self(&session.client, None).await.map_err(Failure::from);
        let fresh = match self.meaning("auth/token/renew-self", renewed) {
            Ok(auth) if !exhausted(session.full_ttl, Duration::from_secs(auth.lease_duration)) => {
                self.session_of(auth, Some(session.full_ttl))?
            }
            Err(error @ (Error::Away { .. } | Error::Sealed { .. })) => return Ok(make_do(session, error, logins)),
            // Whatever else a Vault has against this token, a new one may be free of it.
            Ok(_) | Err(_) => match self.log_in().await {
                Ok(fresh) => fresh,
                Err(error) => return Ok(make_do(session, error, logins)),
            },
        };
        *logins = Logins::default();
        self.session.store(Some(fresh.clone()));
        Ok(fresh)
    }

    /// Logs in, unless somebody else has done so since `stale` was seen, or a login has just failed.
    async fn replace(&self, stale: Option<&Arc<Session>>) -> Result<Arc<Session>, Error> {
        let mut logins = self.login.lock().await;
        if let Some(present) = self.session.load_full()
            && !stale.is_some_and(|stale| Arc::ptr_eq(stale, &present))
        {
            return Ok(present);
        }
        if let Some((_, error)) = logins.last.as_ref().filter(|_| !logins.may_try()) {
            return Err(error.clone());
        }
        match self.log_in().await {
            Ok(session) => {
                *logins = Logins::default();
                self.session.store(Some(session.clone()));
                Ok(session)
            }
            Err(error) => {
                logins.failed(error.clone());
                Err(error)
            }
        }
    }

    async fn log_in(&self) -> Result<Arc<Session>, Error> {
        let Settings { auth_mount, role, token_file, .. } = &self.settings;
        let jwt = tokio::fs::read_to_string(token_file)
            .await
            .map(Zeroizing::new)
            .map_err(|error| Error::TokenFile { path: token_file.display().to_string(), cause: error.to_string() })?;
        let client = self.connection.client("")?;
        let path = format!("auth/{auth_mount}/login");
        let answer = vaultrs::auth::oidc::login(&client, auth_mount, jwt.trim(), Some(role.clone())).await;
        let auth = self.meaning(&path, answer.map_err(Failure::from)).map_err(|error| match error {
            Error::Denied { cause, .. } | Error::Missing { cause, .. } | Error::Unexpected { code: 400, cause, .. } => {
                Error::Login { mount: auth_mount.clone(), role: role.clone(), cause }
            }
            other => other,
        })?;
        self.session_of(auth, None)
    }

    fn session_of(&self, mut auth: AuthInfo, full_ttl: Option<Duration>) -> Result<Arc<Session>, Error> {
        let client = self.connection.client(&auth.client_token)?;
        auth.client_token.zeroize();
        let ttl = Duration::from_secs(auth.lease_duration);
        Ok(Arc::new(Session { client, since: Instant::now(), ttl, full_ttl: full_ttl.unwrap_or(ttl) }))
    }
}

/// A failed renewal costs nobody anything while the token lives, and is tried again after a while.
fn make_do(session: Arc<Session>, error: Error, logins: &mut Logins) -> Arc<Session> {
    tracing::warn!(%error, "the Vault token was not renewed; the present one is used while it lasts");
    logins.failed(error);
    session
}

/// Mounts, roles and keys become parts of a path.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.chars().all(known) && !name.chars().all(|c| c == '.') {
        Ok(())
    } else {
        Err(Error::Settings(format!("'{name}' is not a name in a Vault: expected letters, digits, '-', '_' and '.'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_two_thirds_of_its_life() {
        let ttl = Duration::from_secs(900);
        assert_eq!(age(ttl, Duration::from_secs(599)), Age::Fresh);
        assert_eq!(age(ttl, Duration::from_secs(600)), Age::Renew);
        assert_eq!(age(ttl, Duration::from_secs(900)), Age::Expired);
    }

    #[test]
    fn a_token_that_nears_its_maximum_is_replaced() {
        let full = Duration::from_secs(900);
        assert!(!exhausted(full, full));
        assert!(exhausted(full, Duration::from_secs(449)));
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        for bad in ["", "..", "a/b", "a?b", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("custody-keeper.keeper").is_ok());
    }
}
