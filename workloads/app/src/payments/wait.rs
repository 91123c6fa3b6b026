//! A time lock: begun at both signers, so that both run at once, and waited for. Their admins may veto meanwhile, so
//! both are asked again now and then; what they answer changes nothing while the time has not come.

use jiff::Timestamp;

use super::{
    ask::{Question, Verdict},
    step::{Step, still_free},
    trouble::Trouble,
};
use crate::domain::{Payment, Stage, Status, Transaction};

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
            Verdict::Allowed if transaction.hot.is_some() => self.go(Stage::Sign, Status::Checked).await,
            // Balances may have changed since.
            Verdict::Allowed => self.go(Stage::Check, Status::Accepted).await,
        }
    }

    /// A signer says later. Its time lock begins in the next step, after a pause: two answers that contradict each
    /// other make no loop.
    pub(super) async fn hold(&self) -> Result<(), Trouble> {
        self.go(Stage::Wait, self.payment.status).await?;
        Err(Trouble::HeldUp)
    }

    /// Whether the chain has gone on without this payment.
    async fn overtaken(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        if transaction.hot.is_some() {
            return self.settled(transaction).await;
        }
        let overtaken = !still_free(transaction, &self.on_chain().await?);
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
