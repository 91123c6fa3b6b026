//! The secret halves: the account's own keys, made once and kept in a Secret on the hub, and what the hub admin
//! gave to make accounts with.

use std::collections::BTreeMap;

use custody::Role;
use multisig_api::{
    conditions::reason,
    multisig_cluster::nats::{OPERATOR_SEED_KEY, SYSTEM_CREDS_KEY},
};
use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use crate::conditions::Finding;

/// Key of the account's seed in the Secret; each role's is `<role>.seed`.
const ACCOUNT_SEED: &str = "account.seed";

/// Why keys can't be used. Never quotes what was read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KeysError {
    /// A key is not there.
    #[error("the key {0} is missing")]
    Missing(String),
    /// Not a seed of this kind.
    #[error("the key {0} does not contain a valid seed of its kind")]
    Malformed(String),
    /// Not UTF-8.
    #[error("the key {0}: {1}")]
    Encoding(String, text_file::Encoding),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Random(String),
}

/// Seeds of an account: its identity and one signing key per role, so that no role's key can mint another's user.
pub struct AccountKeys {
    account: Zeroizing<String>,
    roles: BTreeMap<Role, Zeroizing<String>>,
}

impl AccountKeys {
    /// New ones.
    pub fn generate() -> Result<Self, KeysError> {
        let seed = || -> Result<Zeroizing<String>, KeysError> {
            let key = KeyPair::new_account();
            key.seed().map(Zeroizing::new).map_err(|error| KeysError::Random(error.to_string()))
        };
        let mut roles = BTreeMap::new();
        for role in Role::ALL {
            roles.insert(role, seed()?);
        }
        Ok(Self { account: seed()?, roles })
    }

    /// From the Secret's values.
    pub fn read(mut value: impl FnMut(&str) -> Option<Zeroizing<Vec<u8>>>) -> Result<Self, KeysError> {
        let mut seed = |name: &str| {
            let bytes = value(name).ok_or_else(|| KeysError::Missing(name.to_owned()))?;
            parse(&bytes, KeyPairType::Account, name)
        };
        let mut roles = BTreeMap::new();
        for role in Role::ALL {
            roles.insert(role, seed(&seed_name(role))?);
        }
        Ok(Self { account: seed(ACCOUNT_SEED)?, roles })
    }

    /// For the Secret.
    pub fn values(&self) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
        let value = |seed: &Zeroizing<String>| Zeroizing::new(seed.as_bytes().to_vec());
        let roles = self.roles.iter().map(|(role, seed)| (seed_name(*role), value(seed)));
        std::iter::once((ACCOUNT_SEED.to_owned(), value(&self.account))).chain(roles).collect()
    }

    /// The account's public key, `A...`.
    pub fn account(&self) -> String {
        pair(&self.account).public_key()
    }

    /// The key that signs users of a role.
    pub fn role(&self, role: Role) -> KeyPair {
        pair(self.roles.get(&role).expect("both constructors make one per role"))
    }
}

/// What the hub admin gave: power to make accounts.
pub struct OperatorAccess {
    seed: Zeroizing<String>,
    /// Credentials file of the SYS user that pushes accounts.
    pub creds: Zeroizing<String>,
}

impl OperatorAccess {
    /// From the Secret's values.
    pub fn read(seed: Option<Zeroizing<Vec<u8>>>, creds: Option<Zeroizing<Vec<u8>>>) -> Result<Self, KeysError> {
        let seed = seed.ok_or_else(|| KeysError::Missing(OPERATOR_SEED_KEY.to_owned()))?;
        let creds = creds.ok_or_else(|| KeysError::Missing(SYSTEM_CREDS_KEY.to_owned()))?;
        let text = text_file::text(&creds).map_err(|why| KeysError::Encoding(SYSTEM_CREDS_KEY.to_owned(), why))?;
        let creds = Zeroizing::new(text.to_owned());
        Ok(Self { seed: parse(&seed, KeyPairType::Operator, OPERATOR_SEED_KEY)?, creds })
    }

    /// The key that signs accounts.
    pub fn key(&self) -> KeyPair {
        pair(&self.seed)
    }
}

impl From<KeysError> for Finding {
    fn from(error: KeysError) -> Self {
        Finding::bad(reason::NATS_SECRET_REFUSED, error.to_string())
    }
}

fn seed_name(role: Role) -> String {
    format!("{role}.seed")
}

fn parse(bytes: &[u8], kind: KeyPairType, name: &str) -> Result<Zeroizing<String>, KeysError> {
    let malformed = || KeysError::Malformed(name.to_owned());
    let text = text_file::text(bytes).map_err(|why| KeysError::Encoding(name.to_owned(), why))?;
    let seed = Zeroizing::new(text.trim().to_owned());
    let key = KeyPair::from_seed(&seed).map_err(|_| malformed())?;
    if key.key_pair_type() == kind { Ok(seed) } else { Err(malformed()) }
}

fn pair(seed: &str) -> KeyPair {
    KeyPair::from_seed(seed).expect("every constructor has parsed it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_secret() {
        let keys = AccountKeys::generate().unwrap();
        let mut values = keys.values();
        let names = ["account.seed", "app.seed", "cooler.seed", "keeper.seed", "sentinel.seed"];
        assert!(values.keys().eq(names));
        let again = AccountKeys::read(|name| values.remove(name)).unwrap();
        assert_eq!(keys.account(), again.account());
        for role in Role::ALL {
            assert_eq!(keys.role(role).public_key(), again.role(role).public_key());
        }
    }

    #[test]
    fn a_missing_or_wrong_seed_is_named_and_never_quoted() {
        let values = AccountKeys::generate().unwrap().values();
        let missing = AccountKeys::read(|name| values.get(name).filter(|_| name != "cooler.seed").cloned());
        assert_eq!(missing.err(), Some(KeysError::Missing("cooler.seed".to_owned())));
        let user = KeyPair::new_user().seed().unwrap();
        let value = |text: &str| Some(Zeroizing::new(text.as_bytes().to_vec()));
        let error = OperatorAccess::read(value(&user), value("creds")).err().unwrap();
        assert_eq!(error, KeysError::Malformed(OPERATOR_SEED_KEY.to_owned()));
        assert!(!error.to_string().contains(&user));
    }
}
