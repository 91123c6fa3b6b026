//! The lock of a start.

use std::sync::{Arc, atomic::Ordering};

use super::signer::Signer;

/// Whether a start has been vouched for. In memory only, so that every start is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Nothing is served, for this reason.
    Locked(String),
    /// The other signers know this signer's history.
    Open,
}

impl Signer {
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
}
