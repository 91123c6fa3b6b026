//! A Keeper over its volume and a real Vault.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use chain::{Amount, Asset, Claim, Effect, Owners};
use chain_adapters::Adapters;
use custodies::{CHAIN, Custody};
use custody::{
    Role,
    config::HubLimits,
    local_policy::{LocalPolicy, Rolling},
    trust::KeyProtection,
};
use data_center::RealVault;
use futures::future::join_all;
use policy::Policy;
use protocol::{
    envelope::Peers,
    ops::{CreateWallet, OPERATION_ID_BYTES, Operation, Outcome, Payment, RegisterWallet, Request},
};
use rand_core::{OsRng, RngCore};
use rusqlite::Connection;
use signer::{
    identity,
    pipeline::{Asker, Lock, Signer, SigningContext, digest},
    store::{FILE, Ledger, Store},
};

use crate::{Error, fill};

/// What a page takes in SQLite's log, bytes.
pub(crate) const LOG_PAGE: u64 = 4096 + 24;
/// The wallet that is copied.
const TEMPLATE: &str = "0000000000000000";

/// Where Keeper lives; its volume stays the same from start to start.
pub(crate) struct Place {
    vault: RealVault,
    custody: Custody,
}

/// A Keeper that serves.
pub(crate) struct Keeper {
    store: Arc<Store>,
    signer: Signer,
    unsigned: Vec<Vec<u8>>,
}

impl Place {
    /// With an empty volume.
    pub(crate) async fn start() -> Result<Self, Error> {
        Ok(Self { vault: RealVault::start().await, custody: Custody::random() })
    }

    fn file(&self) -> PathBuf {
        self.vault.data_dir(Role::Keeper).join(FILE)
    }

    /// Fills the store up from `stored` wallets; returns how many there are then.
    pub(crate) async fn fill(&self, stored: usize, wallets: usize) -> Result<usize, Error> {
        let mut stored = stored;
        if stored == 0 {
            let keeper = self.signer().await?;
            keeper.make(TEMPLATE).await?;
            keeper.sign(TEMPLATE, 0).await?;
            keeper.flush().await?;
            stored = 1;
        }
        let (file, many) = (self.file(), wallets.saturating_sub(stored));
        tokio::task::spawn_blocking(move || fill::copies(&Connection::open(file)?, TEMPLATE, many)).await??;
        Ok(stored + many)
    }

    /// On the volume.
    pub(crate) fn bytes(&self) -> Result<u64, Error> {
        Ok(fs::metadata(self.file())?.len())
    }

    /// The store opened, and all that a start looks at; closing it is no part of a start.
    pub(crate) async fn start_once(&self) -> Result<Store, Error> {
        let store = Store::open(&self.vault.data_dir(Role::Keeper))?;
        store.identity().await?;
        store.cool_keys().await?;
        store.sealed_versions(u64::MAX >> 1).await?;
        let look = |ledger: &Ledger<'_>| {
            ledger.frozen("")?;
            ledger.held_local_policies()?;
            Ok((ledger.has_signed()?, ledger.head()?, ledger.records_end()?))
        };
        store.look(now_ms(), look).await?;
        Ok(store)
    }

    /// A Keeper that serves under a policy with both kinds of windows.
    pub(crate) async fn signer(&self) -> Result<Keeper, Error> {
        let store = Arc::new(Store::open(&self.vault.data_dir(Role::Keeper))?);
        let sealer = self.vault.sealer(Role::Keeper);
        let keys = Arc::new(identity::open_or_make(&store, &sealer, &mut OsRng).await?);
        let manifest = self.custody.manifest.clone();
        let local_policy = local_policy();
        let rules = Adapters::all().of(policy::chains(&local_policy)?)?;
        let policy = Policy::new(&local_policy, &[], &HubLimits::default(), &manifest, &rules)?;
        let mut instance = [0; 16];
        OsRng.fill_bytes(&mut instance);
        let signer = Signer::new(store.clone(), instance, Arc::new(now_ms));
        signer.set_lock(Lock::Open);
        signer.serve(Some(Arc::new(SigningContext {
            role: Role::Keeper,
            keys,
            peers: Peers::default(),
            manifest,
            policy,
            rules,
            sealer,
            protection: KeyProtection::Vault,
            observed: false,
            trust_digest: [7; 32],
        })));
        while signer.count_windows().await? {}
        let unsigned = (0..=crate::ROUNDS).map(unsigned).collect::<Result<_, _>>()?;
        Ok(Keeper { store, signer, unsigned })
    }
}

/// Large limits, of which every signature has to be counted.
fn local_policy() -> LocalPolicy {
    let mut local_policy = custodies::local_policy();
    let rolling = || Some(Rolling { amount: "1000000000000000000".to_owned(), window_seconds: 86_400 });
    (local_policy.assets[0].per_wallet, local_policy.assets[0].total) = (rolling(), rolling());
    local_policy
}

/// Wallets that sign.
pub(crate) struct Wallets(Vec<String>);

impl Wallets {
    /// Makes them, all at once; their names are anywhere among those that are stored.
    pub(crate) async fn make(keeper: &Keeper, many: usize) -> Result<Self, Error> {
        let names: Vec<String> = (0..many).map(|_| format!("{:016x}", OsRng.next_u64())).collect();
        join_all(names.iter().map(|name| keeper.make(name))).await.into_iter().collect::<Result<(), _>>()?;
        Ok(Self(names))
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }
}

impl Keeper {
    async fn make(&self, wallet: &str) -> Result<(), Error> {
        let create = CreateWallet { wallet: wallet.to_owned(), ..CreateWallet::default() };
        let Outcome::Created(hot) = self.ask(Operation::CreateWallet(create)).await? else {
            return Err("Keeper makes no wallet".into());
        };
        let register = RegisterWallet { hot: Some(hot), chains: vec![CHAIN.to_owned()], salt: Vec::new() };
        match self.ask(Operation::RegisterWallet(register)).await? {
            Outcome::Registered(_) => Ok(()),
            other => Err(format!("Keeper registers no wallet: {other:?}").into()),
        }
    }

    pub(crate) async fn check(&self, wallet: &str, nonce: u64) -> Result<(), Error> {
        match self.ask(Operation::Check(self.payment(wallet, nonce))).await? {
            Outcome::Allowed(_) => Ok(()),
            other => Err(format!("the check says: {other:?}").into()),
        }
    }

    pub(crate) async fn sign(&self, wallet: &str, nonce: u64) -> Result<(), Error> {
        match self.ask(Operation::Sign(self.payment(wallet, nonce))).await? {
            Outcome::Signed(_) => Ok(()),
            other => Err(format!("no signature: {other:?}").into()),
        }
    }

    /// Writes what was left to a next group.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        Ok(self.store.flush().await?)
    }

    pub(crate) fn log_pages(&self) -> u64 {
        self.store.log_use().pages
    }

    fn payment(&self, wallet: &str, nonce: u64) -> Payment {
        let unsigned = self.unsigned[nonce as usize].clone();
        let mut payment_id = vec![0; 32];
        OsRng.fill_bytes(&mut payment_id);
        Payment { wallet: wallet.to_owned(), chain: CHAIN.to_owned(), unsigned, payment_id, ..Payment::default() }
    }

    async fn ask(&self, operation: Operation) -> Result<Outcome, Error> {
        let mut operation_id = vec![0; OPERATION_ID_BYTES];
        OsRng.fill_bytes(&mut operation_id);
        let request = Request { operation_id, operation: Some(operation) };
        let (asker, digest) = (Asker { role: Role::App, key: [9; 32] }, digest(&request));
        self.signer.answer(asker, request, digest).await.outcome.ok_or_else(|| "no outcome".into())
    }
}

/// The bytes of a small payment, the same for every wallet.
fn unsigned(nonce: u64) -> Result<Vec<u8>, Error> {
    let rules = Adapters::all().rules(&CHAIN.parse()?)?;
    let key = |n: u8| rules.public_key(&[n; 32]);
    let wallet = rules.wallet(&Owners { hot: key(1)?, cool: key(2)?, cold: key(3)? }, [0; 32])?;
    let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
    let effect = Effect::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(1_u128) };
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    Ok(rules.build(&effect, &wallet, &assets, &[Claim::Sequence(nonce)])?)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}
