//! A signer that serves over its own store and a real Vault.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chain::{Amount, Asset, Claim, Effect, Owners};
use chain_adapters::Adapters;
use custodies::{CHAIN, Custody, SAFE};
use custody::{
    Role,
    config::HubLimits,
    local_policy::{AssetLimits, LocalPolicy},
    manifest::VerifiedManifest,
    trust::KeyProtection,
};
use data_center::RealVault;
use policy::Policy;
use protocol::envelope::Peers;
use rand_core::{OsRng, RngCore};
use sealing::Sealer;

use crate::{
    identity::{self, Keys},
    pipeline::{Lock, Signer, SigningContext, seal_cool_keys},
    store::Store,
};

/// The contract of USDT.
const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/// 1 ETH and 1000 units of a token with 6 decimals.
pub(crate) fn local_policy() -> LocalPolicy {
    let mut local_policy = custodies::local_policy();
    local_policy.assets.push(AssetLimits::new(CHAIN, "USDT", TOKEN, 6, "1000000000"));
    local_policy
}

/// All chains, and one of coins.
pub(crate) fn adapters() -> Adapters {
    Adapters::all().with(test_chain::rules())
}

/// The bytes of an effect, as App would build them; a Safe's are the same for every wallet.
pub(crate) fn unsigned(effect: &Effect, nonce: u64) -> Vec<u8> {
    let token = |symbol: &str, contract: Option<&str>| Asset {
        symbol: symbol.to_owned(),
        contract: contract.map(str::to_owned),
    };
    let assets = [token("ETH", None), token("USDT", Some(TOKEN)), token("OTHER", Some(SAFE))];
    let rules = adapters().rules(&CHAIN.parse().unwrap()).unwrap();
    let key = |n: u8| rules.public_key(&[n; 32]).unwrap();
    let wallet = rules.wallet(&Owners { hot: key(1), cool: key(2), cold: key(3) }, [0; 32]).unwrap();
    rules.build(effect, &wallet, &assets, &[Claim::Sequence(nonce)]).unwrap()
}

pub(crate) fn transfer(asset: &str, amount: u128) -> Effect {
    let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
    Effect::Transfer { asset: asset.to_owned(), to, amount: Amount::from(amount) }
}

/// A signer that serves, over its own store and the real Vault.
pub(crate) struct Running {
    pub(crate) data_dir: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) signer: Signer,
    clock: Arc<AtomicU64>,
    approved: Peers,
    manifest: VerifiedManifest,
    sealer: Arc<Sealer>,
}

/// What data centre and hub have decided.
pub(crate) struct Terms {
    pub(crate) local_policy: LocalPolicy,
    pub(crate) held: Vec<LocalPolicy>,
    pub(crate) hub: HubLimits,
    pub(crate) observed: bool,
    pub(crate) protection: KeyProtection,
}

impl Default for Terms {
    fn default() -> Self {
        let (held, hub) = (Vec::new(), HubLimits::default());
        Self { local_policy: local_policy(), held, hub, observed: false, protection: KeyProtection::Vault }
    }
}

/// When a test begins, Unix milliseconds.
const START_MS: u64 = 1_800_000_000_000;

impl Running {
    pub(crate) async fn start(vault: &RealVault, custody: &Custody, role: Role, approved: Peers) -> Self {
        let data_dir = vault.data_dir(role);
        let store = Arc::new(Store::open(&data_dir).unwrap());
        let sealer = vault.sealer(role);
        let keys = Arc::new(identity::open_or_make(&store, &sealer, &mut OsRng).await.unwrap());
        identity::authenticate(&store, &sealer, role, START_MS, &mut OsRng).await.unwrap();
        let manifest = custody.manifest.clone();
        if role == Role::Cooler {
            let keys = custody.cool.keys();
            let sealed = seal_cool_keys::<Box<dyn std::error::Error>>(&sealer, manifest.custody_id(), &keys).await;
            assert!(store.keep_cool_keys(sealed.unwrap()).await.unwrap());
        }
        let running = Self::over(data_dir, store, keys, manifest, approved, sealer);
        running.serve(role, Terms::default());
        running
    }

    /// Over a store that is there; it serves nothing yet.
    pub(crate) fn over(
        data_dir: PathBuf,
        store: Arc<Store>,
        keys: Arc<Keys>,
        manifest: VerifiedManifest,
        approved: Peers,
        sealer: Arc<Sealer>,
    ) -> Self {
        let clock = Arc::new(AtomicU64::new(START_MS));
        let time = clock.clone();
        let mut instance = [0; 16];
        OsRng.fill_bytes(&mut instance);
        let signer = Signer::new(store.clone(), instance, Arc::new(move || time.load(Ordering::Relaxed)));
        signer.set_lock(Lock::Open);
        Self { data_dir, store, keys, signer, clock, approved, manifest, sealer }
    }

    /// Serves under other terms.
    pub(crate) fn serve(&self, role: Role, terms: Terms) {
        let Terms { local_policy, held, hub, observed, protection } = terms;
        let rules = adapters().of(policy::chains(&local_policy).unwrap()).unwrap();
        let policy = Policy::new(&local_policy, &held, &hub, &self.manifest, &rules).unwrap();
        let serving = SigningContext {
            role,
            keys: self.keys.clone(),
            peers: self.approved.clone(),
            manifest: self.manifest.clone(),
            policy,
            rules,
            sealer: self.sealer.clone(),
            protection,
            observed,
            trust_digest: [7; 32],
        };
        self.signer.serve(Some(Arc::new(serving)));
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// Asks until `done`; 60 s at most.
pub(crate) async fn eventually<T, F: Future<Output = T>>(ask: impl Fn() -> F, done: impl Fn(&T) -> bool) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask().await;
        if done(&answer) || tokio::time::Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
