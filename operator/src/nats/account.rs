//! What has been minted, and what is minted next. The record is written before anything in it takes effect, so a kill
//! at any line loses nothing and mints nothing twice. Pure: time is passed in.

use std::collections::{BTreeMap, BTreeSet};

use custody::{CustodyId, Role};
use multisig_api::conditions::reason;
use natsauth::{
    Account, AccountLimits, Claims, JwtError, Scope, UserName, account_claims, role_permissions, tombstone_claims,
    user_claims,
};
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};

use super::keys::AccountKeys;
use crate::conditions::Finding;

/// Everything minted for an account. Public, but kept in the Secret beside the keys that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The account's public key.
    pub account: String,
    /// The newest account JWT; empty until the first.
    pub token: String,
    /// The present credentials of each role.
    pub issued: BTreeMap<Role, Issued>,
    /// Replaced public keys that stay good until their successor has been seen in use.
    pub replaced: BTreeMap<Role, BTreeSet<String>>,
    /// Revoked public keys, and when (Unix seconds).
    pub revoked: BTreeMap<String, i64>,
    /// Newest time of a user JWT or revocation: a clock that was set back must not date a revocation before what it
    /// revokes.
    pub latest: i64,
}

/// One role's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issued {
    /// Public NKey, `U...`.
    pub user: String,
    /// Rises by one with each newly minted JWT.
    pub generation: u64,
    /// The user JWT.
    pub jwt: String,
}

/// Who should have credentials now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This public key, whose owner was seen using this generation.
    Key {
        /// Public NKey.
        user: String,
        /// Generation in use, as its owner reports.
        used: Option<u64>,
    },
    /// This public key, of an owner who doesn't report: what it replaces is revoked at once.
    Unreported {
        /// Public NKey.
        user: String,
    },
    /// Nobody any more.
    Nobody,
}

/// What [`advance`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Minted a user JWT of this generation.
    Minted(Role, u64),
    /// Revoked this many public keys.
    Revoked(Role, usize),
}

/// The next record and how it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// To be stored before anything else happens.
    pub record: Record,
    /// What is new in it.
    pub changes: Vec<Change>,
    /// Roles for which nothing could be minted, and why.
    pub problems: BTreeMap<Role, Finding>,
}

impl Record {
    /// For new keys: nothing minted yet.
    pub fn new(keys: &AccountKeys) -> Self {
        Self {
            account: keys.account(),
            token: String::new(),
            issued: BTreeMap::new(),
            replaced: BTreeMap::new(),
            revoked: BTreeMap::new(),
            latest: 0,
        }
    }

    /// What a role's credentials document says; nothing before the first minting.
    pub fn credentials(&self, role: Role) -> Option<custody::config::Credentials> {
        let Issued { user: _, generation, jwt } = self.issued.get(&role)?;
        Some(custody::config::Credentials { generation: *generation, user_jwt: jwt.clone() })
    }

    /// Whether the account was ended.
    pub fn is_tombstone(&self) -> bool {
        natsauth::decode_unverified::<Account>(&self.token).is_ok_and(|claims| claims.nats.limits.conn == 0)
    }
}

/// Mints what is missing, revokes what is replaced and out of use, and signs the account anew if it changed. Given the
/// same wishes again it changes nothing, whoever runs it. `delivered` are generations that were seen on members: a
/// lost record must not make them go back.
pub fn advance(
    before: &Record,
    keys: &AccountKeys,
    operator: Option<&KeyPair>,
    custody: CustodyId,
    wanted: &BTreeMap<Role, Wanted>,
    delivered: &BTreeMap<Role, u64>,
    now: i64,
) -> Result<Advanced, JwtError> {
    let now = now.max(before.latest);
    let mut next = Advanced { record: before.clone(), changes: Vec::new(), problems: BTreeMap::new() };
    for (role, wanted) in wanted {
        let delivered_generation = delivered.get(role).copied().unwrap_or(0);
        match wanted {
            Wanted::Key { user, used } => {
                issue(&mut next, keys, *role, user, delivered_generation, now)?;
                let issued = next.record.issued.get(role);
                if issued.is_some_and(|issued| issued.user == *user && *used == Some(issued.generation)) {
                    revoke_replaced(&mut next, *role, now);
                }
            }
            Wanted::Unreported { user } => {
                issue(&mut next, keys, *role, user, delivered_generation, now)?;
                revoke_replaced(&mut next, *role, now);
            }
            Wanted::Nobody => {
                retire(&mut next.record, *role);
                revoke_replaced(&mut next, *role, now);
            }
        }
    }
    if let Some(operator) = operator {
        sign_account(&mut next.record, keys, operator, custody, now)?;
    }
    if next.record != *before {
        next.record.latest = now;
    }
    Ok(next)
}

/// The record of an account that has ended: no connection, every user revoked.
pub fn end(before: &Record, operator: &KeyPair, custody: CustodyId, now: i64) -> Result<Record, JwtError> {
    if before.token.is_empty() || before.is_tombstone() {
        return Ok(before.clone());
    }
    let claims = tombstone_claims(&custody.to_string(), &before.account, next_issue_time(before, now));
    Ok(Record { token: natsauth::encode(claims, operator)?, ..before.clone() })
}

/// The record with its account JWT signed anew, later than `held`: what else a server may hold, because somebody else
/// pushed it, would win over an older one whenever servers compare.
pub fn overtake(before: &Record, operator: &KeyPair, held: i64, now: i64) -> Result<Record, JwtError> {
    let mut claims = natsauth::verify::<Account>(&before.token)?;
    claims.iat = now.max(claims.iat.max(held).saturating_add(1));
    Ok(Record { token: natsauth::encode(claims, operator)?, ..before.clone() })
}

fn issue(
    next: &mut Advanced,
    keys: &AccountKeys,
    role: Role,
    user: &str,
    delivered: u64,
    now: i64,
) -> Result<(), JwtError> {
    let record = &mut next.record;
    if record.issued.get(&role).is_some_and(|issued| issued.user == user) {
        return Ok(());
    }
    if let Some(problem) = unmintable(record, role, user) {
        next.problems.insert(role, problem);
        return Ok(());
    }
    let before = record.issued.get(&role).map_or(0, |issued| issued.generation);
    retire(record, role);
    let generation = before.max(delivered) + 1;
    let claims = user_claims(&UserName::from(role), user, &record.account, now, None);
    let jwt = natsauth::encode(claims, &keys.role(role))?;
    record.issued.insert(role, Issued { user: user.to_owned(), generation, jwt });
    next.changes.push(Change::Minted(role, generation));
    Ok(())
}

/// A key that was given up is never signed again: a later JWT would undo its revocation. And one key belongs to one workload.
fn unmintable(record: &Record, role: Role, user: &str) -> Option<Finding> {
    let given_up = record.revoked.contains_key(user) || record.replaced.values().any(|users| users.contains(user));
    let other = record.issued.iter().find(|(other, issued)| **other != role && issued.user == user);
    let why = match (given_up, other) {
        (true, _) => {
            format!("{role} reports the NATS key {user}, which was replaced earlier; it must generate a new one")
        }
        (_, Some((other, _))) => {
            format!("{role} reports the NATS key {user}, which belongs to {other}; it must generate its own")
        }
        (false, None) => return None,
    };
    Some(Finding::bad(reason::IDENTITY_REFUSED, why))
}

fn retire(record: &mut Record, role: Role) {
    if let Some(issued) = record.issued.remove(&role) {
        record.replaced.entry(role).or_default().insert(issued.user);
    }
}

fn revoke_replaced(next: &mut Advanced, role: Role, now: i64) {
    let users = next.record.replaced.remove(&role).unwrap_or_default();
    if !users.is_empty() {
        next.changes.push(Change::Revoked(role, users.len()));
    }
    next.record.revoked.extend(users.into_iter().map(|user| (user, now)));
}

fn sign_account(
    record: &mut Record,
    keys: &AccountKeys,
    operator: &KeyPair,
    custody: CustodyId,
    now: i64,
) -> Result<(), JwtError> {
    let scopes = Role::ALL
        .into_iter()
        .map(|role| Scope::new(&keys.role(role).public_key(), role.as_str(), role_permissions(custody, role)))
        .collect();
    let claims = account_claims(
        &custody.to_string(),
        &record.account,
        scopes,
        AccountLimits::default(),
        record.revoked.clone(),
        next_issue_time(record, now),
    );
    if present(record).is_none_or(|present| !same(&present, &claims, &operator.public_key())) {
        record.token = natsauth::encode(claims, operator)?;
    }
    Ok(())
}

/// Strictly above the one before: servers keep the account JWT with the higher time, whoever's clock it was.
fn next_issue_time(record: &Record, now: i64) -> i64 {
    present(record).map_or(now, |present| now.max(present.iat + 1))
}

fn present(record: &Record) -> Option<Claims<Account>> {
    natsauth::decode_unverified(&record.token).ok()
}

/// Whether two account JWTs say the same, apart from when.
fn same(present: &Claims<Account>, wanted: &Claims<Account>, operator: &str) -> bool {
    present.iss == operator
        && present.sub == wanted.sub
        && present.name == wanted.name
        && present.exp == wanted.exp
        && present.nats == wanted.nats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures;

    struct Bench {
        keys: AccountKeys,
        operator: KeyPair,
        record: Record,
        now: i64,
    }

    impl Bench {
        fn new() -> Self {
            let keys = AccountKeys::generate().unwrap();
            let record = Record::new(&keys);
            Self { keys, operator: KeyPair::new_operator(), record, now: 1_700_000_000 }
        }

        fn advance(&mut self, wanted: &[(Role, Wanted)]) -> Advanced {
            self.now += 1;
            let wanted = wanted.iter().cloned().collect();
            let operator = Some(&self.operator);
            let none = BTreeMap::new();
            let next =
                advance(&self.record, &self.keys, operator, fixtures::custody(), &wanted, &none, self.now).unwrap();
            self.record = next.record.clone();
            next
        }
    }

    fn user() -> String {
        KeyPair::new_user().public_key()
    }

    fn key(user: &str, used: Option<u64>) -> Wanted {
        Wanted::Key { user: user.to_owned(), used }
    }

    #[test]
    fn one_credential_for_one_key_however_often_it_is_asked_for() {
        let mut bench = Bench::new();
        let keeper = user();
        let first = bench.advance(&[(Role::Keeper, key(&keeper, None))]);
        assert_eq!(first.changes, [Change::Minted(Role::Keeper, 1)]);
        for used in [None, Some(1)] {
            let again = bench.advance(&[(Role::Keeper, key(&keeper, used))]);
            assert_eq!(again.changes, []);
            assert_eq!(again.record, first.record);
        }
        let nothing_known = bench.advance(&[]);
        assert_eq!(nothing_known.record, first.record);
    }

    #[test]
    fn the_jwt_is_of_this_key_role_and_account() {
        let mut bench = Bench::new();
        let keeper = user();
        bench.advance(&[(Role::Keeper, key(&keeper, None))]);
        let claims = natsauth::verify::<natsauth::User>(&bench.record.issued[&Role::Keeper].jwt).unwrap();
        assert_eq!((claims.sub, claims.name.as_str()), (keeper, "keeper"));
        assert_eq!(claims.iss, bench.keys.role(Role::Keeper).public_key());
        assert_eq!(claims.nats.issuer_account, bench.keys.account());
        let account = natsauth::verify::<Account>(&bench.record.token).unwrap();
        assert_eq!((account.sub, account.iss), (bench.keys.account(), bench.operator.public_key()));
        assert_eq!(account.nats.signing_keys.len(), Role::ALL.len());
    }

    #[test]
    fn a_replaced_key_is_revoked_only_after_its_successor_was_seen_in_use() {
        let mut bench = Bench::new();
        let (old, new) = (user(), user());
        bench.advance(&[(Role::Keeper, key(&old, Some(1)))]);
        let replaced = bench.advance(&[(Role::Keeper, key(&new, Some(1)))]);
        assert_eq!(replaced.changes, [Change::Minted(Role::Keeper, 2)]);
        assert!(replaced.record.revoked.is_empty());
        let in_use = bench.advance(&[(Role::Keeper, key(&new, Some(2)))]);
        assert_eq!(in_use.changes, [Change::Revoked(Role::Keeper, 1)]);
        let account = natsauth::verify::<Account>(&bench.record.token).unwrap();
        let issued_at = 1_700_000_001;
        assert!(account.nats.revocations[&old] >= issued_at, "a revocation covers what was issued until then");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_date_a_revocation_before_what_it_revokes() {
        let mut bench = Bench::new();
        let (old, new) = (user(), user());
        bench.advance(&[(Role::Keeper, key(&old, Some(1)))]);
        let issued = natsauth::verify::<natsauth::User>(&bench.record.issued[&Role::Keeper].jwt).unwrap().iat;
        bench.now -= 1000;
        bench.advance(&[(Role::Keeper, key(&new, Some(1)))]);
        bench.advance(&[(Role::Keeper, key(&new, Some(2)))]);
        assert!(bench.record.revoked[&old] >= issued);
    }

    #[test]
    fn the_account_is_signed_anew_only_when_it_changes_and_always_later() {
        let mut bench = Bench::new();
        let mut times = Vec::new();
        for (user, used) in [(user(), 1), (user(), 2), (user(), 3)] {
            bench.advance(&[(Role::Keeper, key(&user, None))]);
            // The clock goes back.
            bench.now -= 100;
            bench.advance(&[(Role::Keeper, key(&user, Some(used)))]);
            times.push(natsauth::verify::<Account>(&bench.record.token).unwrap().iat);
        }
        assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
        let token = bench.record.token.clone();
        bench.advance(&[]);
        assert_eq!(bench.record.token, token);
        bench.operator = KeyPair::new_operator();
        bench.advance(&[]);
        assert_ne!(bench.record.token, token, "another operator key signs it anew");
    }

    #[test]
    fn what_somebody_else_pushed_is_overtaken_saying_the_same_as_before() {
        let mut bench = Bench::new();
        bench.advance(&[(Role::Keeper, key(&user(), None))]);
        let before = natsauth::verify::<Account>(&bench.record.token).unwrap();
        let overtaken = overtake(&bench.record, &bench.operator, before.iat + 50, bench.now).unwrap();
        let after = natsauth::verify::<Account>(&overtaken.token).unwrap();
        assert_eq!((after.iat, &after.nats), (before.iat + 51, &before.nats));
        bench.record = overtaken.clone();
        assert_eq!(bench.advance(&[]).record.token, overtaken.token, "it stays as it is then");
    }

    #[test]
    fn a_key_that_was_given_up_is_never_signed_again() {
        let mut bench = Bench::new();
        let (old, new) = (user(), user());
        bench.advance(&[(Role::Keeper, key(&old, Some(1)))]);
        bench.advance(&[(Role::Keeper, key(&new, Some(1)))]);
        for used in [None, Some(2)] {
            let back = bench.advance(&[(Role::Keeper, key(&old, used))]);
            assert_eq!(back.problems[&Role::Keeper].reason, reason::IDENTITY_REFUSED);
            assert_eq!(back.record.issued[&Role::Keeper].user, new);
            bench.advance(&[(Role::Keeper, key(&new, Some(2)))]);
        }
    }

    #[test]
    fn one_key_is_one_workload() {
        let mut bench = Bench::new();
        let shared = user();
        bench.advance(&[(Role::Keeper, key(&shared, None))]);
        let refused = bench.advance(&[(Role::Cooler, key(&shared, None))]);
        assert!(refused.problems.contains_key(&Role::Cooler));
        assert!(!refused.record.issued.contains_key(&Role::Cooler));
    }

    #[test]
    fn an_app_that_changes_or_goes_is_revoked_at_once() {
        let mut bench = Bench::new();
        let (old, new) = (user(), user());
        bench.advance(&[(Role::App, Wanted::Unreported { user: old.clone() })]);
        let changed = bench.advance(&[(Role::App, Wanted::Unreported { user: new.clone() })]);
        assert_eq!(changed.changes, [Change::Minted(Role::App, 2), Change::Revoked(Role::App, 1)]);
        let gone = bench.advance(&[(Role::App, Wanted::Nobody)]);
        assert_eq!(gone.changes, [Change::Revoked(Role::App, 1)]);
        assert_eq!(gone.record.revoked.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&old, &new]));
    }

    #[test]
    fn a_lost_record_does_not_take_generations_back() {
        let keys = AccountKeys::generate().unwrap();
        let wanted = BTreeMap::from([(Role::Keeper, key(&user(), None))]);
        let delivered = BTreeMap::from([(Role::Keeper, 7)]);
        let next = advance(&Record::new(&keys), &keys, None, fixtures::custody(), &wanted, &delivered, 5).unwrap();
        assert_eq!(next.changes, [Change::Minted(Role::Keeper, 8)]);
        assert_eq!(next.record.token, "", "without the operator's key there is no account JWT");
    }

    #[test]
    fn an_ended_account_admits_nobody_and_stays_ended() {
        let mut bench = Bench::new();
        let untouched = end(&bench.record, &bench.operator, fixtures::custody(), bench.now).unwrap();
        assert_eq!(untouched, bench.record, "what was never pushed needs no end");
        bench.advance(&[(Role::Keeper, key(&user(), None))]);
        let ended = end(&bench.record, &bench.operator, fixtures::custody(), bench.now).unwrap();
        assert!(ended.is_tombstone() && !bench.record.is_tombstone());
        let before = natsauth::verify::<Account>(&bench.record.token).unwrap();
        let after = natsauth::verify::<Account>(&ended.token).unwrap();
        assert!(after.iat > before.iat);
        assert_eq!(end(&ended, &bench.operator, fixtures::custody(), bench.now + 9).unwrap(), ended);
    }
}
