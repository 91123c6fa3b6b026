//! Hot phrases (Keeper) and the registry of wallets (both signers).

use rusqlite::{Connection, OptionalExtension};

use super::{
    error::StoreError,
    keys::{SealedKey, sealed_key},
    ledger::Ledger,
    writer::Store,
};

/// Keeper's hot keys of one user, sealed, with the attestation of their public halves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotWallet {
    /// Wallet id.
    pub wallet: String,
    /// Sealed entropy of the phrase.
    pub entropy: String,
    /// One per family of chains.
    pub keys: Vec<SealedKey>,
    /// Encoded `Attestation` of `HotKeys`.
    pub attestation: Vec<u8>,
    /// What recognises the client's key, where one seals these keys.
    pub verifier: Option<Vec<u8>>,
}

/// A wallet as this signer recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredWallet {
    /// Wallet id.
    pub wallet: String,
    /// Encoded `HotKeys`: the exact bytes that Keeper attested.
    pub hot_keys: Vec<u8>,
    /// 32 bytes.
    pub salt: Vec<u8>,
    /// CAIP-2 chain id and address, ordered by chain.
    pub addresses: Vec<(String, String)>,
    /// Encoded `Attestation` of the `WalletRecord`.
    pub record: Vec<u8>,
}

/// Outcome of [`Store::register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// What is on disk: the wallet given, or the one that is there.
    Present(RegisteredWallet),
    /// Another wallet has this address; nothing was written.
    AddressTaken(String),
}

impl Store {
    /// Keeper's attestation for a wallet, once its phrase is made.
    pub async fn hot_attestation(&self, wallet: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let wallet = wallet.to_owned();
        self.read(move |connection| hot_attestation(connection, &wallet)).await
    }

    /// What recognises the client's key of a wallet, if it has one.
    pub async fn hot_verifier(&self, wallet: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let wallet = wallet.to_owned();
        self.read(move |connection| {
            let row = connection
                .prepare_cached("SELECT verifier FROM hot WHERE wallet = ?1")?
                .query_row([wallet], |row| row.get(0))
                .optional()?;
            Ok(row.flatten())
        })
        .await
    }

    /// A user's hot key for a family of chains.
    pub async fn hot_key(&self, wallet: &str, namespace: &str) -> Result<Option<SealedKey>, StoreError> {
        let (wallet, namespace) = (wallet.to_owned(), namespace.to_owned());
        self.read(move |connection| hot_key(connection, &wallet, &namespace)).await
    }

    /// A wallet of the registry.
    pub async fn wallet(&self, wallet: &str) -> Result<Option<RegisteredWallet>, StoreError> {
        let wallet = wallet.to_owned();
        self.read(move |connection| registered(connection, &wallet)).await
    }

    /// The wallet that is registered with this address.
    pub async fn wallet_at(&self, chain: &str, address: &str) -> Result<Option<String>, StoreError> {
        let (chain, address) = (chain.to_owned(), address.to_owned());
        self.read(move |connection| {
            let row = connection
                .prepare_cached("SELECT wallet FROM addresses WHERE chain = ?1 AND address = ?2")?
                .query_row((chain, address), |row| row.get(0));
            Ok(row.optional()?)
        })
        .await
    }

    /// All wallets of the registry, by id.
    #[cfg(test)]
    pub(crate) async fn wallets(&self) -> Result<Vec<RegisteredWallet>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare("SELECT wallet FROM wallets ORDER BY wallet")?;
            let ids: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.iter().filter_map(|id| registered(connection, id).transpose()).collect()
        })
        .await
    }
}

impl Ledger<'_> {
    /// Keeps a phrase unless the wallet has one; returns the attestation that stays.
    pub fn keep_hot(&self, made: HotWallet) -> Result<Vec<u8>, StoreError> {
        let connection = self.connection;
        if let Some(attestation) = hot_attestation(connection, &made.wallet)? {
            return Ok(attestation);
        }
        connection
            .prepare_cached("INSERT INTO hot (wallet, entropy, attestation, verifier) VALUES (?1, ?2, ?3, ?4)")?
            .execute((&made.wallet, &made.entropy, &made.attestation, &made.verifier))?;
        for key in &made.keys {
            connection
                .prepare_cached("INSERT INTO hot_keys (wallet, namespace, public_key, secret) VALUES (?1, ?2, ?3, ?4)")?
                .execute((&made.wallet, &key.namespace, &key.public_key, &key.secret))?;
        }
        Ok(made.attestation)
    }

    /// Records a wallet unless it is there; whether what is there is the same is for the asker to see.
    pub fn register(&self, wallet: RegisteredWallet) -> Result<Registration, StoreError> {
        let connection = self.connection;
        if let Some(present) = registered(connection, &wallet.wallet)? {
            return Ok(Registration::Present(present));
        }
        for (chain, address) in &wallet.addresses {
            let mut query = connection.prepare_cached("SELECT 1 FROM addresses WHERE chain = ?1 AND address = ?2")?;
            if query.query_row((chain, address), |_| Ok(())).optional()?.is_some() {
                return Ok(Registration::AddressTaken(address.clone()));
            }
        }
        connection
            .prepare_cached("INSERT INTO wallets (wallet, hot_keys, salt, record) VALUES (?1, ?2, ?3, ?4)")?
            .execute((&wallet.wallet, &wallet.hot_keys, &wallet.salt, &wallet.record))?;
        for (chain, address) in &wallet.addresses {
            connection
                .prepare_cached("INSERT INTO addresses (wallet, chain, address) VALUES (?1, ?2, ?3)")?
                .execute((&wallet.wallet, chain, address))?;
        }
        Ok(Registration::Present(wallet))
    }

    /// Whether a wallet is registered on a chain.
    pub fn is_registered(&self, wallet: &str, chain: &str) -> Result<bool, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT 1 FROM addresses WHERE wallet = ?1 AND chain = ?2")?
            .query_row((wallet, chain), |_| Ok(()))
            .optional()?;
        Ok(row.is_some())
    }

    /// A user's hot key for a family of chains.
    pub fn hot_key(&self, wallet: &str, namespace: &str) -> Result<Option<SealedKey>, StoreError> {
        hot_key(self.connection, wallet, namespace)
    }
}

fn hot_key(connection: &Connection, wallet: &str, namespace: &str) -> Result<Option<SealedKey>, StoreError> {
    let row = connection
        .prepare_cached("SELECT namespace, public_key, secret FROM hot_keys WHERE wallet = ?1 AND namespace = ?2")?
        .query_row((wallet, namespace), sealed_key);
    Ok(row.optional()?)
}

fn hot_attestation(connection: &Connection, wallet: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut query = connection.prepare_cached("SELECT attestation FROM hot WHERE wallet = ?1")?;
    Ok(query.query_row([wallet], |row| row.get(0)).optional()?)
}

pub(super) fn registered(connection: &Connection, wallet: &str) -> Result<Option<RegisteredWallet>, StoreError> {
    let row: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT hot_keys, salt, record FROM wallets WHERE wallet = ?1")?
        .query_row([wallet], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((hot_keys, salt, record)) = row else {
        return Ok(None);
    };
    let mut query =
        connection.prepare_cached("SELECT chain, address FROM addresses WHERE wallet = ?1 ORDER BY chain")?;
    let addresses = query.query_map([wallet], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(RegisteredWallet { wallet: wallet.to_owned(), hot_keys, salt, addresses, record }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(id: &str, address: &str) -> RegisteredWallet {
        RegisteredWallet {
            wallet: id.to_owned(),
            hot_keys: vec![1],
            salt: vec![0; 32],
            addresses: vec![("eip155:1".to_owned(), address.to_owned())],
            record: vec![2],
        }
    }

    #[tokio::test]
    async fn a_phrase_is_made_once_per_wallet() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let made = |n: u8| HotWallet {
            wallet: "alice".to_owned(),
            entropy: "vault:v1:e".to_owned(),
            keys: vec![SealedKey {
                namespace: "eip155".to_owned(),
                public_key: vec![n],
                secret: format!("vault:v1:{n}"),
            }],
            attestation: vec![n],
            verifier: None,
        };
        assert_eq!(store.decide(0, move |ledger| ledger.keep_hot(made(1))).await.unwrap(), [1]);
        assert_eq!(store.decide(0, move |ledger| ledger.keep_hot(made(2))).await.unwrap(), [1]);
        assert_eq!(store.hot_attestation("alice").await.unwrap(), Some(vec![1]));
        assert_eq!(store.hot_key("alice", "eip155").await.unwrap().unwrap().public_key, [1]);
        assert_eq!(store.hot_key("alice", "solana").await.unwrap(), None);
        assert_eq!(store.hot_key("bob", "eip155").await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_address_belongs_to_one_wallet_and_a_record_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let alice = wallet("alice", "0xA");
        let register =
            async |wallet: RegisteredWallet| store.decide(0, move |ledger| ledger.register(wallet)).await.unwrap();
        assert_eq!(register(alice.clone()).await, Registration::Present(alice.clone()));
        assert_eq!(register(wallet("alice", "0xB")).await, Registration::Present(alice.clone()));
        assert_eq!(store.wallet_at("eip155:1", "0xA").await.unwrap().as_deref(), Some("alice"));
        for (chain, address) in [("eip155:1", "0xB"), ("eip155:2", "0xA")] {
            assert_eq!(store.wallet_at(chain, address).await.unwrap(), None);
        }
        let bob = register(wallet("bob", "0xA")).await;
        assert_eq!(bob, Registration::AddressTaken("0xA".to_owned()));
        assert_eq!(store.wallets().await.unwrap(), [alice]);
    }
}
