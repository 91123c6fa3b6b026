//! What the signers of one custody share: the broker with its account, the outcome of the ceremonies, and everybody's
//! keys but the signers' own.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use custody::{CustodyId, Role, identity::PeerKeys, manifest::VerifiedManifest};
use harness::{Options, nats::Nats};
use natsauth::{AccountLimits, Permissions, Scope, UserName, account_claims, role_permissions, user_claims};
use nkeys::KeyPair;
use protocol::envelope::{OwnKeys, Party, Peers};
use rand_core::OsRng;
use tokio::sync::watch;
use transport::{Caller, Link};

/// A custody before anybody serves it. What its ceremonies have left is reached through it.
pub struct Custody {
    /// The broker.
    pub nats: Nats,
    ceremonies: custodies::Custody,
    /// Keys of App.
    pub app: Arc<OwnKeys>,
    /// Keys of the sentinel.
    pub sentinel: Arc<OwnKeys>,
    account: KeyPair,
    role_keys: BTreeMap<Role, KeyPair>,
}

/// A connection's key with the JWT for it.
pub struct Credentials {
    /// The user's NKey.
    pub nkey: KeyPair,
    /// Its JWT.
    pub jwt: String,
}

impl Deref for Custody {
    type Target = custodies::Custody;

    fn deref(&self) -> &custodies::Custody {
        &self.ceremonies
    }
}

impl Custody {
    /// Ceremonies, a broker, and the account on it.
    pub async fn found() -> Self {
        harness::install_crypto();
        let custody = Self {
            nats: Nats::start(Options::default()).await.unwrap(),
            ceremonies: custodies::Custody::random(),
            app: Arc::new(OwnKeys::generate(&mut OsRng)),
            sentinel: Arc::new(OwnKeys::generate(&mut OsRng)),
            account: KeyPair::new_account(),
            role_keys: Role::ALL.into_iter().map(|role| (role, KeyPair::new_account())).collect(),
        };
        custody.push_account(Vec::new()).await;
        custody
    }

    /// The custody's manifest.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.ceremonies.manifest
    }

    /// The custody.
    pub fn custody_id(&self) -> CustodyId {
        self.ceremonies.id()
    }

    /// The account, with a signing key for each role and the `others`.
    async fn push_account(&self, others: Vec<Scope>) {
        let scope = |(role, key): (&Role, &KeyPair)| {
            Scope::new(&key.public_key(), role.as_str(), role_permissions(self.custody_id(), *role))
        };
        let public = self.account.public_key();
        let scopes = self.role_keys.iter().map(scope).chain(others).collect();
        let claims = account_claims("custody", &public, scopes, AccountLimits::default(), BTreeMap::new(), now());
        let operator = KeyPair::from_seed(self.nats.operator_signing_seed()).unwrap();
        let jwt = natsauth::encode(claims, &operator).unwrap();
        let client = self.nats.push_client().await.unwrap();
        client.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE"), jwt.into()).await.unwrap();
    }

    /// A user that the design does not know, as only the holder of the operator's and the account's keys makes one.
    pub async fn mint(&self, name: &str, permissions: Permissions) -> Credentials {
        let (key, nkey) = (KeyPair::new_account(), KeyPair::new_user());
        self.push_account(vec![Scope::new(&key.public_key(), name, permissions)]).await;
        let jwt = self.signed_by(&key, &name.parse().unwrap(), &nkey.public_key());
        Credentials { nkey, jwt }
    }

    /// A connection's key for `role`, as the hub mints it.
    pub fn credentials(&self, role: Role) -> Credentials {
        let nkey = KeyPair::new_user();
        Credentials { jwt: self.user_jwt(role, &nkey.public_key()), nkey }
    }

    pub(crate) fn user_jwt(&self, role: Role, nats_user: &str) -> String {
        self.signed_by(&self.role_keys[&role], &UserName::from(role), nats_user)
    }

    fn signed_by(&self, key: &KeyPair, name: &UserName, nats_user: &str) -> String {
        natsauth::encode(user_claims(name, nats_user, &self.account.public_key(), now(), None), key).unwrap()
    }

    /// A connection to the broker as `role`.
    pub async fn link(&self, role: Role) -> Link {
        let Credentials { nkey, jwt } = self.credentials(role);
        let options = transport::Options {
            urls: vec![self.nats.url()],
            ca_pem: self.nats.ca_pem().to_owned(),
            custody: self.custody_id(),
            role,
            nkey,
            jwt: watch::channel(jwt).1,
        };
        Link::connect(options).await.unwrap()
    }

    /// `role` with these keys, which believes `peers`.
    pub fn party(&self, role: Role, own: &Arc<OwnKeys>, peers: &BTreeMap<Role, PeerKeys>) -> Party {
        let peers = peers.iter().map(|(role, keys)| (*role, vec![keys.clone()])).collect();
        Party::new(self.custody_id(), role, own.clone(), Peers::new(&peers).unwrap()).unwrap()
    }

    /// App's side of the broker; what it drops is counted in `metrics`.
    pub async fn app_of(&self, signers: &BTreeMap<Role, PeerKeys>, metrics: transport::Metrics) -> Caller {
        let party = watch::channel(self.party(Role::App, &self.app, signers)).1;
        Caller::new(self.link(Role::App).await, party, metrics)
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
