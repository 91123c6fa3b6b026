//! Which wallets a task pays from just now: one task a wallet.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use custody::WalletId;

/// The wallets that a task works on.
#[derive(Default)]
pub(crate) struct Busy(Mutex<HashSet<WalletId>>);

impl Busy {
    /// Whether this call makes the caller the wallet's only task.
    pub(crate) fn enter(&self, wallet: &WalletId) -> bool {
        self.wallets().insert(wallet.clone())
    }

    /// The wallet has no task any more.
    pub(crate) fn leave(&self, wallet: &WalletId) {
        self.wallets().remove(wallet);
    }

    fn wallets(&self) -> MutexGuard<'_, HashSet<WalletId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_has_one_task_at_a_time() {
        let (busy, alice, bob) = (Busy::default(), "alice".parse().unwrap(), "bob".parse().unwrap());
        assert!(busy.enter(&alice) && busy.enter(&bob));
        assert!(!busy.enter(&alice));
        busy.leave(&alice);
        assert!(busy.enter(&alice) && !busy.enter(&bob));
    }
}
