//! The signer as one value: its store, its clock, what it serves with, and what it remembers between requests.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use audit::Head;
use custody::volume::Room;
use protocol::ops::Attestation;

use super::{context::SigningContext, known::Known, lock::Lock, quota::Quota, stop::Stop, vouching::Vouching};
use crate::store::{Ledger, Start, Store, StoreError};

/// Unix milliseconds, from wherever the process takes them.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What Keeper and Cooler share: answers requests while it has something to serve with.
pub struct Signer {
    pub(super) store: Arc<Store>,
    clock: Clock,
    serving: ArcSwapOption<SigningContext>,
    pub(super) lock: ArcSwap<Lock>,
    pub(super) locked_since_ms: AtomicU64,
    pub(super) vouching: Vouching,
    lease_until_ms: AtomicU64,
    pub(super) known: Mutex<Known>,
    /// The newest head that is on disk, with its overrides, and the newest that was attested.
    committed: Mutex<(u64, Head)>,
    attested: Mutex<Option<(u64, Head, Start, Attestation)>>,
    records_quota: Mutex<Quota>,
    pub(super) room: ArcSwapOption<Room>,
}

impl Signer {
    /// Serves nothing until [`Signer::serve`], and is locked until others have vouched for its history. `instance` is
    /// random: by it two starts of copies of one volume differ.
    pub fn new(store: Arc<Store>, instance: [u8; 16], clock: Clock) -> Self {
        Self {
            store,
            locked_since_ms: AtomicU64::new(clock()),
            vouching: Vouching::new(instance),
            clock,
            serving: ArcSwapOption::empty(),
            lock: ArcSwap::from_pointee(Lock::Locked("the others were not asked yet".to_owned())),
            lease_until_ms: AtomicU64::new(0),
            known: Mutex::default(),
            committed: Mutex::new((0, Head::EMPTY)),
            attested: Mutex::default(),
            records_quota: Mutex::default(),
            room: ArcSwapOption::empty(),
        }
    }

    /// Requests that begin from now on are served with this, or refused as unavailable.
    pub fn serve(&self, serving: Option<Arc<SigningContext>>) {
        self.serving.store(serving);
    }

    /// What it serves with.
    pub fn serving(&self) -> Option<Arc<SigningContext>> {
        self.serving.load_full()
    }

    /// Whether this start has been vouched for.
    pub fn lock(&self) -> Arc<Lock> {
        self.lock.load_full()
    }

    /// Whether nothing is served.
    pub fn is_locked(&self) -> bool {
        matches!(**self.lock.load(), Lock::Locked(_))
    }

    /// Since when it is locked, or was at last, Unix milliseconds: only what the admin accepts after that opens it.
    pub fn locked_since_ms(&self) -> u64 {
        self.locked_since_ms.load(Ordering::Acquire)
    }

    /// Opens the lock, or closes it and says why.
    pub fn set_lock(&self, lock: Lock) {
        let before = self.lock();
        if *before == lock {
            return;
        }
        match &lock {
            Lock::Open => tracing::info!("unlocked: the others know this signer's history"),
            Lock::Locked(why) => tracing::warn!(why, "locked"),
        }
        if *before == Lock::Open {
            self.locked_since_ms.store(self.now_ms(), Ordering::Release);
        }
        self.lock.store(Arc::new(lock));
    }

    /// Says why it is still locked; does nothing if the admin has opened it meanwhile.
    pub fn still_locked(&self, why: String) {
        let before = self.lock.rcu(|present| match &**present {
            Lock::Locked(_) => Arc::new(Lock::Locked(why.clone())),
            Lock::Open => present.clone(),
        });
        if let Lock::Locked(said) = &*before
            && *said != why
        {
            tracing::warn!(why, "still locked");
        }
    }

    /// The sentinel's lease, Unix milliseconds.
    pub fn lease_until_ms(&self) -> u64 {
        self.lease_until_ms.load(Ordering::Acquire)
    }

    pub(super) fn extend_lease(&self, until_ms: u64) {
        self.lease_until_ms.fetch_max(until_ms, Ordering::AcqRel);
    }

    /// Acts on what is left of the quota for reading records.
    pub(super) fn records_quota<T>(&self, act: impl FnOnce(&mut Quota) -> T) -> T {
        act(&mut self.records_quota.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Now, by its clock.
    pub fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    pub(super) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Stop> {
        Ok(self.store.decide(self.now_ms(), decide).await?)
    }

    /// The same before every decision for App.
    pub(super) async fn decide_urgent<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Stop> {
        Ok(self.store.decide_urgent(self.now_ms(), decide).await?)
    }

    /// Notes a head that is on disk.
    pub(super) fn committed(&self, head: Head, overrides: u64) {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        if (overrides, head.count) > (committed.0, committed.1.count) {
            *committed = (overrides, head);
        }
    }

    /// A signed head at or after this one, which is on disk: signatures that share a commit share the newest of them.
    pub(super) fn attested(&self, serving: &SigningContext, head: Head, overrides: u64, start: Start) -> Attestation {
        self.committed(head, overrides);
        let (overrides, head) = *self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        self.vouching.attests(head);
        let mut attested = self.attested.lock().unwrap_or_else(PoisonError::into_inner);
        match &*attested {
            Some((of, known, by, attestation)) if (*of, *known, *by) == (overrides, head, start) => attestation.clone(),
            _ => {
                let attestation = serving.attest(head, overrides, Some(start), self.now_ms());
                *attested = Some((overrides, head, start, attestation.clone()));
                attestation
            }
        }
    }
}
