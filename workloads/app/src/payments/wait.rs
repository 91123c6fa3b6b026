//! A time lock: begun at both signers, so that their clocks run at once, and waited for. Their admins may veto meanwhile,
//! so both are asked again now and then; what they answer changes nothing while the time has not come.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Step, Trouble,
    ask::{Question, Verdict},
};
use crate::store::{Payment, Stage, Status, Transaction};

impl Step<'_> {
    pub(super) async fn wait(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        if self.overtaken(&transaction).await? {
            return Ok(());
        }
        match self.asked_both(Question::Announce, &transaction).await? {
            Verdict::Refused(refused) => self.refused(&transaction, refused).await,
            Verdict::Later(not_before) => self.until(not_before).await,
            // Cooler has held up what hot has signed.
            Verdict::Allowed if transaction.hot_signature.is_some() => self.go(Stage::Sign, Status::Signing).await,
            // Balances may have changed since.
            Verdict::Allowed => self.go(Stage::Check, Status::Checking).await,
        }
    }

    /// A signer says later. Its time lock begins in the next step, after a pause: two answers that contradict each other
    /// make no loop.
    pub(super) async fn hold(&self) -> Result<(), Trouble> {
        self.go(Stage::Wait, self.payment.status).await?;
        Err(Trouble::HeldUp)
    }

    /// Whether the chain has gone on without this payment.
    async fn overtaken(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        if transaction.hot_signature.is_some() {
            return self.settled(transaction).await;
        }
        let overtaken = self.app.rpc.safe(self.address, &[]).await?.nonce != transaction.nonce;
        if overtaken {
            self.start_again().await?;
        }
        Ok(overtaken)
    }

    /// Shown and stored, once.
    async fn until(&self, not_before: Timestamp) -> Result<(), Trouble> {
        if self.payment.not_before != Some(not_before) {
            let waiting = Payment { not_before: Some(not_before), ..self.at(Stage::Wait, Status::Waiting) };
            self.app.store.update(waiting).await?;
        }
        Err(Trouble::TimeLock { not_before })
    }
}

impl Trouble {
    /// Whether it is one; a time lock is the signers' rule.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Self::HeldUp | Self::TimeLock { .. })
    }

    /// How long to wait after `failures` in a row: as the schedule says, but no longer than the time lock. A time that
    /// has passed by App's clock and not by the signer's is waited for as the schedule says.
    pub(super) fn pause(&self, failures: u32, now: Timestamp) -> Duration {
        let delay = backoff::delay(failures);
        let Self::TimeLock { not_before } = self else { return delay };
        match Duration::try_from(not_before.duration_since(now)) {
            Ok(left) if !left.is_zero() => delay.min(left),
            _ => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lock_is_waited_for_by_the_schedule_and_not_beyond_its_end() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let locked = Trouble::TimeLock { not_before: at(100_000) };
        let pause = |failures, now| locked.pause(failures, at(now)).as_millis();
        assert_eq!(pause(1, 0), 250);
        assert_eq!(pause(99, 0), 15_000);
        assert_eq!(pause(99, 99_999), 1);
        // Never without a pause: the signer's clock may be behind.
        assert_eq!(pause(1, 100_000), 250);
        assert_eq!(pause(99, 1_000_000), 15_000);
        assert_eq!(Trouble::Wait(String::new()).pause(2, at(0)).as_millis(), 500);
    }
}
