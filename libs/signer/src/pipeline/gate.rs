//! What stands before every operation of App: the freeze, the lock, for signatures the sentinel's lease, and room on the
//! volume.

use protocol::ops::{MAX_LEASE_MS, Operation};

use super::{context::SigningContext, lock::Lock, signer::Signer, stop::Stop};

impl Signer {
    /// The lock, for signatures the lease, and room for what is written. The freeze is looked at with the store.
    pub(super) fn gates(&self, serving: &SigningContext, operation: &Operation) -> Result<(), Stop> {
        if let Lock::Locked(why) = &*self.lock() {
            return Err(Stop::locked(why));
        }
        if operation.payment().is_some() && serving.observed && self.lease_until_ms() <= self.now_ms() {
            return Err(Stop::unavailable(
                "LeaseExpired",
                "the sentinel's lease has expired; nothing is signed without it",
            ));
        }
        match operation {
            // It stores nothing.
            Operation::Check(_) => Ok(()),
            _ => self.require_room(),
        }
    }

    /// Takes the sentinel's lease; a shorter one does not shorten the present one.
    pub(super) fn take_lease(&self, until_ms: u64) -> Result<(), Stop> {
        if until_ms > self.now_ms().saturating_add(MAX_LEASE_MS) {
            return Err(Stop::refused("LeaseTooLong", format!("a lease ends at most {MAX_LEASE_MS} ms from now")));
        }
        self.extend_lease(until_ms);
        Ok(())
    }
}
