//! A real broker with the account of one custody.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod side;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use custody::{CustodyId, Role};
use harness::{Options, nats::Nats};
use natsauth::{AccountLimits, Scope, UserName, account_claims, role_permissions, user_claims};
use nkeys::KeyPair;

/// What is awaited comes within this, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A broker with an account whose signing keys are the roles'.
pub(crate) struct Broker {
    pub(crate) nats: Nats,
    pub(crate) custody: CustodyId,
    pub(crate) account: KeyPair,
    pub(crate) role_keys: BTreeMap<Role, KeyPair>,
}

/// A NATS user: its key and the JWT that the account's role key signed.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) key: KeyPair,
    pub(crate) jwt: String,
}

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let broker = Self {
            nats: Nats::start(Options::default()).await.unwrap(),
            custody: CustodyId::generate(&mut rand_core::OsRng),
            account: KeyPair::new_account(),
            role_keys: Role::ALL.into_iter().map(|role| (role, KeyPair::new_account())).collect(),
        };
        broker.push(&broker.account, now() - 100, BTreeMap::new()).await;
        broker
    }

    /// Pushes an account with this custody's roles. `iat` has to rise.
    pub(crate) async fn push(&self, account: &KeyPair, iat: i64, revocations: BTreeMap<String, i64>) {
        let scope = |(role, key): (&Role, &KeyPair)| {
            Scope::new(&key.public_key(), role.as_str(), role_permissions(self.custody, *role))
        };
        let scopes = self.role_keys.iter().map(scope).collect();
        let public = account.public_key();
        let claims = account_claims("custody", &public, scopes, AccountLimits::default(), revocations, iat);
        let operator = KeyPair::from_seed(self.nats.operator_signing_seed()).unwrap();
        let jwt = natsauth::encode(claims, &operator).unwrap();
        let client = self.nats.push_client().await.unwrap();
        client.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE"), jwt.clone().into()).await.unwrap();
        // The answer to a push says nothing of what is stored.
        let found = client.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.LOOKUP"), "".into()).await.unwrap();
        assert_eq!(found.payload, jwt.as_bytes());
    }

    pub(crate) async fn revoke(&self, user: &User) {
        let revoked = BTreeMap::from([(user.key.public_key(), now())]);
        self.push(&self.account, now(), revoked).await;
    }

    pub(crate) fn user(&self, role: Role) -> User {
        let key = KeyPair::new_user();
        let jwt = self.jwt_of(role, &key, now() - 10);
        User { key, jwt }
    }

    /// A JWT for this key, issued at `iat`.
    pub(crate) fn jwt_of(&self, role: Role, key: &KeyPair, iat: i64) -> String {
        let (user, account) = (key.public_key(), self.account.public_key());
        let claims = user_claims(&UserName::from(role), &user, &account, iat, None);
        natsauth::encode(claims, &self.role_keys[&role]).unwrap()
    }

    /// Options of a bare client for a user, as one who has only the connection's key would make them.
    pub(crate) fn bare(&self, user: &User) -> async_nats::ConnectOptions {
        let User { key, jwt } = user.clone();
        async_nats::ConnectOptions::with_jwt(jwt, move |nonce| {
            let signed = key.sign(&nonce).map_err(async_nats::AuthError::new);
            async move { signed }
        })
        .add_root_certificates(self.nats.ca_file())
        .require_tls(true)
        .tls_first()
        .ignore_discovered_servers()
    }
}
