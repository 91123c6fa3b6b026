//! The Vault's key at the generation that the hub asks for, and every secret sealed by its newest version: one bounded
//! step each time the agent looks. The decision is [`sealing::rotation`]'s; all progress is in the store and in the
//! Vault, so that a signer that was killed goes on where it stopped.
//!
//! The minimum version is raised a while after the last row was rewrapped, when a whole pass has found nothing more: a
//! request that sealed by an older version just before the rotation has stored its value by then.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use custody::CustodyId;
use prometheus_client::metrics::gauge::Gauge;
use sealing::{
    Context, Sealer,
    rotation::{Step, asked_too_far, next},
    version,
};
use signer::{
    fault,
    identity::{self, PURPOSES, STORE_KEY_PURPOSE},
    pipeline::{cool_key_context, entropy_context, hot_key_context},
    store::{SealedFor, SealedPage, SealedPlace, SealedValue, Store, StoreError},
};
use vault::{BATCH_LIMIT, KeyInfo};

use crate::metrics::Metrics;

/// Rewrapping in one step; the batch that begins within it is ended.
const BUDGET: Duration = Duration::from_secs(1);
/// From a new version to the minimum: longer than any request takes from sealing to its row.
const GRACE: Duration = Duration::from_secs(120);

/// Why a step was not done. It is tried again with the next.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// Values of one pass that the Vault did not seal anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} secrets could not be rewrapped ({first}); they stay as they are and the older versions stay in use: see \
     docs/runbooks/rotate.md"
)]
struct Stuck {
    count: u64,
    first: String,
}

/// What only this process knows of a rotation; none of it is needed to go on.
pub(crate) struct Rotation {
    budget: Duration,
    grace: Duration,
    /// The newest version and when this process first saw it.
    since: Option<(u64, Instant)>,
    /// With the key so, there was nothing left to do.
    done: Option<KeyInfo>,
    /// Where the present pass over the values is, and how many it has found so far that had to be rewrapped.
    place: SealedPlace,
    found: usize,
    /// The version below which a whole pass has found nothing.
    walked: Option<u64>,
    /// What did not rewrap so far in this pass, and in the one before.
    refused: Option<Stuck>,
    stuck: Option<Stuck>,
    left: u64,
    trouble: Option<String>,
    version_gauge: Gauge<u64, AtomicU64>,
    left_gauge: Gauge<u64, AtomicU64>,
}

impl Rotation {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let (version_gauge, left_gauge) = (Gauge::default(), Gauge::default());
        metrics.register(|registry| {
            registry.register("vault_key_version", "Newest version of the Vault's key", version_gauge.clone());
            registry.register("rewrap_left", "Secrets sealed by an older version of it", left_gauge.clone());
        });
        Self {
            budget: BUDGET,
            grace: GRACE,
            since: None,
            done: None,
            place: SealedPlace::default(),
            found: 0,
            walked: None,
            refused: None,
            stuck: None,
            left: 0,
            trouble: None,
            version_gauge,
            left_gauge,
        }
    }

    /// Secrets below the newest version; none where there are none.
    pub(crate) fn left(&self) -> Option<u64> {
        Some(self.left).filter(|left| *left > 0)
    }

    /// The report's message, with what stands in the way of the rotation.
    pub(crate) fn beside(&self, message: &str) -> String {
        match &self.trouble {
            Some(trouble) => format!("{message}; Vault key: {trouble}"),
            None => message.to_owned(),
        }
    }

    /// One step towards the generation asked for.
    pub(crate) async fn step(
        &mut self,
        store: &Store,
        sealer: &Sealer,
        custody: CustodyId,
        asked: Option<u64>,
        key: KeyInfo,
    ) {
        if self.since.is_none_or(|(version, _)| version != key.latest_version) {
            self.since = Some((key.latest_version, Instant::now()));
            (self.place, self.found) = (SealedPlace::default(), 0);
        }
        let trouble = match self.advance(store, sealer, custody, asked, key).await {
            Ok(()) => asked_too_far(asked, key)
                .map(|too_far| too_far.to_string())
                .or_else(|| self.stuck.as_ref().map(Stuck::to_string)),
            Err(trouble) => Some(trouble.to_string()),
        };
        if let Some(words) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            tracing::warn!(trouble = words, "the Vault's key is not as asked; it is tried again");
        }
        self.trouble = trouble;
        self.version_gauge.set(key.latest_version);
        self.left_gauge.set(self.left);
    }

    async fn advance(
        &mut self,
        store: &Store,
        sealer: &Sealer,
        custody: CustodyId,
        asked: Option<u64>,
        key: KeyInfo,
    ) -> Result<(), Trouble> {
        let latest = key.latest_version;
        if self.done == Some(key) && next(asked, key, None, 0) == Step::Nothing {
            return Ok(());
        }
        let found = store.sealed_versions(latest).await?;
        self.left = found.below;
        match next(asked, key, found.oldest, found.below) {
            Step::Rotate => {
                sealer.vault().rotate().await?;
                fault::point("rotated");
                tracing::info!(before = latest, asked, "the Vault's key was rotated");
            }
            Step::Rewrap => self.rewrap(store, sealer, custody, latest).await?,
            Step::Raise(version) => self.raise(store, sealer, custody, version).await?,
            // An empty store may still be filled by what was sealed before.
            Step::Nothing => self.done = found.oldest.map(|_| key),
        }
        if found.below == 0 {
            self.stuck = None;
        }
        Ok(())
    }

    /// Only after a whole pass that began late enough: a count that is wrong must not close what is still needed.
    async fn raise(&mut self, store: &Store, sealer: &Sealer, custody: CustodyId, version: u64) -> Result<(), Trouble> {
        if self.since.is_none_or(|(_, since)| since.elapsed() < self.grace) {
            (self.place, self.found) = (SealedPlace::default(), 0);
            return Ok(());
        }
        self.rewrap(store, sealer, custody, version).await?;
        if self.walked == Some(version) {
            sealer.vault().raise_min_decryption_version(version).await?;
            tracing::info!(version, "no secret is left below this version of the Vault's key: it is the minimum");
        }
        Ok(())
    }

    /// Batch after batch until the time is over or the pass is.
    async fn rewrap(&mut self, store: &Store, sealer: &Sealer, custody: CustodyId, latest: u64) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            let SealedPage { values: batch, next } = store.sealed_below(latest, self.place, BATCH_LIMIT).await?;
            self.found += batch.len();
            if !batch.is_empty() {
                self.replace(store, sealer, custody, latest, batch).await?;
            }
            match next {
                Some(next) => self.place = next,
                None => {
                    self.walked = (self.found == 0).then_some(latest);
                    (self.place, self.found) = (SealedPlace::default(), 0);
                    self.stuck = self.refused.take();
                    return Ok(());
                }
            }
            if began.elapsed() >= self.budget {
                return Ok(());
            }
        }
    }

    async fn replace(
        &mut self,
        store: &Store,
        sealer: &Sealer,
        custody: CustodyId,
        latest: u64,
        batch: Vec<SealedValue>,
    ) -> Result<(), Trouble> {
        let sealed: Vec<_> = batch.iter().map(|value| (context(custody, value), value.value.as_str())).collect();
        let rewrapped = sealer.rewrap(&sealed).await?;
        let replacements = self.good(batch, rewrapped, latest);
        fault::point("rewrapped");
        let replaced = store.replace_sealed(replacements).await? as u64;
        self.left = self.left.saturating_sub(replaced);
        tracing::info!(version = latest, replaced, left = self.left, "secrets were rewrapped");
        Ok(())
    }

    /// The values that the Vault sealed anew; the others are counted and stay.
    fn good(
        &mut self,
        batch: Vec<SealedValue>,
        rewrapped: Vec<Result<String, vault::Error>>,
        latest: u64,
    ) -> Vec<(SealedValue, String)> {
        let mut good = Vec::with_capacity(batch.len());
        for (old, new) in batch.into_iter().zip(rewrapped) {
            let why = match new {
                Ok(new) if version(&new).is_some_and(|version| version >= latest) => {
                    good.push((old, new));
                    continue;
                }
                Ok(_) => "the Vault answered with an older version".to_owned(),
                Err(error) => error.to_string(),
            };
            self.refused.get_or_insert(Stuck { count: 0, first: why }).count += 1;
        }
        good
    }
}

fn context(custody: CustodyId, value: &SealedValue) -> Context {
    match &value.sealed_for {
        SealedFor::Identity(seed) => identity::context(PURPOSES[*seed]),
        SealedFor::CoolKey { namespace } => cool_key_context(custody, namespace),
        SealedFor::Entropy { wallet } => entropy_context(custody, wallet),
        SealedFor::HotKey { wallet, namespace } => hot_key_context(custody, wallet, namespace),
        SealedFor::StoreKey => identity::context(STORE_KEY_PURPOSE),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, poll_fn},
        pin::pin,
        sync::Arc,
        task::Poll,
    };

    use custody::Role;
    use rand_core::OsRng;

    use super::*;
    use data_center::RealVault;
    use signer::store::{HotWallet, SealedKey};

    const WALLETS: usize = 600;

    /// A signer's store with more secrets than one batch takes, and its Vault.
    struct Bench {
        _vault: RealVault,
        custody: CustodyId,
        store: Store,
        sealer: Arc<Sealer>,
        metrics: Metrics,
    }

    impl Bench {
        async fn new(wallets: usize) -> Self {
            let vault = RealVault::start().await;
            let sealer = vault.sealer(Role::Keeper);
            let store = Store::open(&vault.data_dir(Role::Keeper)).unwrap();
            let custody = custodies::Custody::random().id();
            let bench = Self { _vault: vault, custody, store, sealer, metrics: Metrics::new() };
            identity::open_or_make(&bench.store, &bench.sealer, &mut OsRng).await.unwrap();
            for wallet in 0..wallets {
                bench.keep(wallet).await;
            }
            bench
        }

        async fn keep(&self, wallet: usize) {
            let made = self.seal(wallet).await;
            self.store.decide(0, move |ledger| ledger.keep_hot(made)).await.unwrap();
        }

        async fn seal(&self, wallet: usize) -> HotWallet {
            let name = format!("w{wallet}");
            let secret = name.as_bytes();
            let contexts = [entropy_context(self.custody, &name), hot_key_context(self.custody, &name, "eip155")];
            let mut sealed = self.sealer.seal(&contexts.map(|context| (context, secret))).await.unwrap();
            let (hot, entropy) = (sealed.pop().unwrap(), sealed.pop().unwrap());
            let key = SealedKey { namespace: "eip155".to_owned(), public_key: secret.to_vec(), secret: hot };
            HotWallet { wallet: name, entropy, keys: vec![key], attestation: vec![1], verifier: None }
        }

        fn rotation(&self) -> Rotation {
            Rotation { budget: Duration::ZERO, grace: Duration::ZERO, ..Rotation::new(&self.metrics) }
        }

        async fn key(&self) -> KeyInfo {
            self.sealer.vault().key().await.unwrap()
        }

        async fn step(&self, rotation: &mut Rotation, asked: Option<u64>) {
            rotation.step(&self.store, &self.sealer, self.custody, asked, self.key().await).await;
        }

        /// A new process that is killed when its step has waited `waits` times; whether it came to its end.
        async fn killed_step(&self, asked: u64, waits: usize) -> bool {
            let mut rotation = self.rotation();
            let key = self.key().await;
            let mut step = pin!(rotation.step(&self.store, &self.sealer, self.custody, Some(asked), key));
            let mut polls = 0;
            poll_fn(move |context| {
                polls += 1;
                match step.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(true),
                    Poll::Pending if polls > waits => Poll::Ready(false),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        }

        async fn all(&self) -> Vec<SealedValue> {
            let page = self.store.sealed_below(u64::MAX, SealedPlace::default(), usize::MAX >> 1).await.unwrap();
            assert_eq!(page.next, None);
            page.values
        }

        /// How many of these the Vault opens.
        async fn opened(&self, values: &[SealedValue]) -> usize {
            let asked: Vec<_> =
                values.iter().map(|value| (context(self.custody, value), value.value.as_str())).collect();
            let opened = self.sealer.open_many(&asked).await.unwrap();
            opened.iter().filter(|opened| opened.is_ok()).count()
        }
    }

    #[tokio::test]
    async fn a_rotation_killed_again_and_again_comes_to_its_end_and_loses_nothing() {
        let bench = Bench::new(WALLETS).await;
        let before = bench.all().await;
        assert_eq!(before.len(), 3 + 2 * WALLETS);
        bench.step(&mut bench.rotation(), Some(2)).await;
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 1 });

        // What is sealed meanwhile is by the new version anyhow.
        bench.keep(WALLETS).await;
        let mut kills = 0;
        for waits in 0.. {
            assert!(waits < 200, "{:?}", bench.store.sealed_versions(2).await);
            kills += usize::from(!bench.killed_step(2, waits).await);
            // Nothing is out of reach at any time.
            assert!(bench.key().await.latest_version == 2);
            if bench.store.sealed_versions(2).await.unwrap().below == 0 {
                break;
            }
        }
        assert!(kills > 3, "{kills}");
        let mut rotation = bench.rotation();
        bench.step(&mut rotation, Some(2)).await;
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 2 });
        assert_eq!((rotation.left(), rotation.beside("serving")), (None, "serving".to_owned()));

        let after = bench.all().await;
        assert!(after.iter().all(|value| version(&value.value) == Some(2)));
        assert_eq!(after.len(), before.len() + 2);
        assert_eq!(bench.opened(&after).await, after.len());
        assert_eq!(bench.opened(&before).await, 0);
        // Neither another start nor the same word again does anything.
        for asked in [None, Some(1), Some(2)] {
            bench.step(&mut bench.rotation(), asked).await;
            bench.step(&mut rotation, asked).await;
        }
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 2 });
    }

    #[tokio::test]
    async fn progress_is_counted_and_what_does_not_rewrap_keeps_the_older_version() {
        let bench = Bench::new(1).await;
        let mut rotation = bench.rotation();
        bench.step(&mut rotation, Some(2)).await;
        // A secret of another wallet: it does not open here.
        let moved = bench.all().await.pop().unwrap();
        let mut foreign = bench.seal(2).await;
        let key = foreign.keys.pop().unwrap();
        bench.store.replace_sealed(vec![(moved.clone(), key.secret.replace("vault:v2", "vault:v1"))]).await.unwrap();

        bench.step(&mut rotation, Some(2)).await;
        assert_eq!(rotation.left(), Some(1));
        bench.step(&mut rotation, Some(2)).await;
        let words = rotation.beside("serving");
        assert!(words.starts_with("serving; Vault key: 1 secrets could not be rewrapped"), "{words}");
        assert!(bench.metrics.text().contains("multisig_signer_rewrap_left 1"), "{}", bench.metrics.text());
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 1 });

        // Put right again, it goes on by itself.
        let stuck = bench.all().await.pop().unwrap();
        bench.store.replace_sealed(vec![(stuck, moved.value)]).await.unwrap();
        for _ in 0..4 {
            bench.step(&mut rotation, Some(2)).await;
        }
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 2 });
        assert_eq!(rotation.beside("serving"), "serving");
    }

    #[tokio::test]
    async fn a_generation_far_away_rotates_nothing_and_is_reported() {
        let bench = Bench::new(0).await;
        let mut rotation = bench.rotation();
        bench.step(&mut rotation, Some(1000)).await;
        assert_eq!(bench.key().await.latest_version, 1);
        assert!(rotation.beside("serving").contains("set vaultKeyGeneration to 2"), "{}", rotation.beside("serving"));
        bench.step(&mut rotation, None).await;
        assert_eq!(rotation.beside("serving"), "serving");
    }

    #[tokio::test]
    async fn the_minimum_waits_for_requests_that_sealed_before_the_rotation() {
        let bench = Bench::new(1).await;
        let mut rotation = Rotation { grace: GRACE, ..bench.rotation() };
        let late = bench.seal(2).await;
        for _ in 0..3 {
            bench.step(&mut rotation, Some(2)).await;
        }
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 1 });
        bench.store.decide(0, move |ledger| ledger.keep_hot(late)).await.unwrap();
        rotation.grace = Duration::ZERO;
        for _ in 0..2 {
            bench.step(&mut rotation, Some(2)).await;
        }
        assert_eq!(bench.key().await, KeyInfo { latest_version: 2, min_decryption_version: 2 });
        let all = bench.all().await;
        assert_eq!(bench.opened(&all).await, all.len());
    }
}
