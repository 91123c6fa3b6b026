//! Claims of NATS JWTs, version 2, as far as they are used here. What is absent in JSON is zero for the broker, and a
//! zero limit allows nothing: so what isn't modelled (imports, exports, leaf nodes, JetStream) is forbidden.

use std::collections::BTreeMap;

use nkeys::KeyPairType;
use serde::{Deserialize, Serialize};

use crate::permissions::{MAX_PAYLOAD_BYTES, NO_LIMIT, Template, UserName};

/// Version of the claims.
const VERSION: u8 = 2;
/// In revocations: every user.
const EVERYBODY: &str = "*";

/// A JWT's claims. Times are Unix seconds; the caller's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<T> {
    /// Refused from this second on; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Hash of all other claims; filled by [`crate::encode`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// Issued at. Servers keep the account JWT with the higher one, whoever signed it: per account it must rise with
    /// every push.
    #[serde(default)]
    pub iat: i64,
    /// Public key of the signer; filled by [`crate::encode`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub iss: String,
    /// Name for people; of a user also the token of its inbox.
    #[serde(default)]
    pub name: String,
    /// Public key that the claims are about.
    pub sub: String,
    /// The kind's own claims.
    pub nats: T,
}

/// One of the kinds of claims: who may be the subject and who may sign.
pub trait Kind {
    /// `type` in the claims.
    const TYPE: &'static str;
    /// Kind of key of the subject.
    const SUBJECT: KeyPairType;
    /// Kind of key of the signer.
    const ISSUER: KeyPairType;
    /// `type` as it stands in these claims.
    fn claim_type(&self) -> &str;
}

/// Root of trust of a set of servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Keys (`O...`) that sign accounts in the operator's place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<String>,
    /// The system account, `A...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_account: Option<String>,
    /// The identity key signs no account, so that it can stay offline.
    #[serde(default)]
    pub strict_signing_key_usage: bool,
    /// `operator`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 2.
    pub version: u8,
}

impl Kind for Operator {
    const TYPE: &'static str = "operator";
    const SUBJECT: KeyPairType = KeyPairType::Operator;
    const ISSUER: KeyPairType = KeyPairType::Operator;

    fn claim_type(&self) -> &str {
        &self.kind
    }
}

/// A closed set of users and subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Limits of the account.
    pub limits: AccountLimits,
    /// Keys that sign users, each bound to one role's template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<Scope>,
    /// User public key (or `*`) to Unix seconds: user JWTs issued at or before are refused. A JWT for the same key
    /// issued a second later is good again, so a revoked key is never signed anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revocations: BTreeMap<String, i64>,
    /// `account`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 2.
    pub version: u8,
}

impl Kind for Account {
    const TYPE: &'static str = "account";
    const SUBJECT: KeyPairType = KeyPairType::Account;
    const ISSUER: KeyPairType = KeyPairType::Operator;

    fn claim_type(&self) -> &str {
        &self.kind
    }
}

/// Limits of an account; [`NO_LIMIT`] or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Connections, over all servers.
    #[serde(default)]
    pub conn: i64,
    /// Subscriptions.
    #[serde(default)]
    pub subs: i64,
    /// Bytes pending.
    #[serde(default)]
    pub data: i64,
    /// Largest message, bytes.
    #[serde(default)]
    pub payload: i64,
    /// No user without proof of its key.
    #[serde(default)]
    pub disallow_bearer: bool,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self { conn: NO_LIMIT, subs: NO_LIMIT, data: NO_LIMIT, payload: MAX_PAYLOAD_BYTES, disallow_bearer: true }
    }
}

/// A signing key of an account and what its users may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The only kind there is.
    pub kind: ScopeKind,
    /// Public key, `A...`.
    pub key: String,
    /// Name of the role, for people.
    pub role: String,
    /// What the users may do.
    pub template: Template,
    /// For people.
    #[serde(default)]
    pub description: String,
}

impl Scope {
    /// `key` (`A...`) signs users of `role`, which may do what `template` says.
    pub fn new(key: &str, role: &str, template: impl Into<Template>) -> Self {
        Self {
            kind: ScopeKind::UserScope,
            key: key.to_owned(),
            role: role.to_owned(),
            template: template.into(),
            description: String::new(),
        }
    }
}

/// Kind of a [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// Signs users.
    UserScope,
}

/// A user of a role. It has no permissions of its own: a user JWT that names any is refused under a scoped key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account, `A...`, since the signer is one of its signing keys.
    pub issuer_account: String,
    /// `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 2.
    pub version: u8,
}

impl Kind for User {
    const TYPE: &'static str = "user";
    const SUBJECT: KeyPairType = KeyPairType::User;
    const ISSUER: KeyPairType = KeyPairType::Account;

    fn claim_type(&self) -> &str {
        &self.kind
    }
}

/// Claims of the operator `operator` (`O...`): accounts, the system account included, are signed by `signing_keys` only.
pub fn operator_claims(
    name: &str,
    operator: &str,
    signing_keys: &[String],
    system_account: &str,
    iat: i64,
) -> Claims<Operator> {
    let nats = Operator {
        signing_keys: signing_keys.to_vec(),
        system_account: Some(system_account.to_owned()),
        strict_signing_key_usage: true,
        kind: Operator::TYPE.to_owned(),
        version: VERSION,
    };
    claims(name, operator, iat, None, nats)
}

/// Claims of the account `account` (`A...`). `iat` must be above that of every account JWT pushed before.
pub fn account_claims(
    name: &str,
    account: &str,
    signing_keys: Vec<Scope>,
    limits: AccountLimits,
    revocations: BTreeMap<String, i64>,
    iat: i64,
) -> Claims<Account> {
    let nats = Account { limits, signing_keys, revocations, kind: Account::TYPE.to_owned(), version: VERSION };
    claims(name, account, iat, None, nats)
}

/// Claims that end an account: no connection, every user revoked. Not a delete, which a server that was away undoes
/// when it returns.
pub fn tombstone_claims(name: &str, account: &str, iat: i64) -> Claims<Account> {
    let limits = AccountLimits { conn: 0, ..AccountLimits::default() };
    account_claims(name, account, Vec::new(), limits, BTreeMap::from([(EVERYBODY.to_owned(), iat)]), iat)
}

/// Claims of the user with the public key `user` (`U...`), to be signed by its role's key in `issuer_account`
/// (`A...`). The server cuts the connection at `exp`, so the next JWT is delivered before.
pub fn user_claims(name: &UserName, user: &str, issuer_account: &str, iat: i64, exp: Option<i64>) -> Claims<User> {
    let nats = User { issuer_account: issuer_account.to_owned(), kind: User::TYPE.to_owned(), version: VERSION };
    claims(name.as_str(), user, iat, exp, nats)
}

fn claims<T>(name: &str, subject: &str, iat: i64, exp: Option<i64>, nats: T) -> Claims<T> {
    Claims { exp, jti: String::new(), iat, iss: String::new(), name: name.to_owned(), sub: subject.to_owned(), nats }
}
