//! The signer as one value: its store, its clock, what it serves with, and what it remembers between requests.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use audit::Head;
use protocol::ops::Attestation;

use super::{context::SigningContext, known::Known, lock::Lock, quota::Quota, stop::Stop};
use crate::store::{Ledger, Store, StoreError};

/// Unix milliseconds, from wherever the process takes them.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What Keeper and Cooler share: answers requests while it has something to serve with.
pub struct Signer {
    pub(super) store: Arc<Store>,
    clock: Clock,
    serving: ArcSwapOption<SigningContext>,
    pub(super) lock: ArcSwap<Lock>,
    lease_until_ms: AtomicU64,
    pub(super) known: Mutex<Known>,
    attested: Mutex<Option<(Head, u64, Attestation)>>,
    records_quota: Mutex<Quota>,
}

impl Signer {
    /// Serves nothing until [`Signer::serve`], and is locked until others have vouched for its history.
    pub fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            serving: ArcSwapOption::empty(),
            lock: ArcSwap::from_pointee(Lock::Locked("the others were not asked yet".to_owned())),
            lease_until_ms: AtomicU64::new(0),
            known: Mutex::default(),
            attested: Mutex::default(),
            records_quota: Mutex::default(),
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

    /// The signed head; a group of signatures that share a commit shares it.
    pub(super) fn attested(&self, serving: &SigningContext, head: Head, overrides: u64) -> Attestation {
        let mut attested = self.attested.lock().unwrap_or_else(PoisonError::into_inner);
        match &*attested {
            Some((known, of, attestation)) if *known == head && *of == overrides => attestation.clone(),
            _ => {
                let attestation = serving.attest(head, overrides, self.now_ms());
                *attested = Some((head, overrides, attestation.clone()));
                attestation
            }
        }
    }
}
