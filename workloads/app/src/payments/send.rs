//! Both signatures are there: simulate the very transaction, send it, follow it.

use chain::KeyRole;

use super::{Step, Trouble, carry::Carried};
use crate::store::{Payment, Purpose, Stage, Status, Transaction};

/// Mined and reverted this often although the simulation passed: given up.
const MOST_REVERTS: u32 = 3;

impl Step<'_> {
    pub(super) async fn send(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        if self.settled(&transaction).await? {
            return Ok(());
        }
        if self.payment.status != Status::Broadcast {
            self.go(Stage::Send, Status::Broadcast).await?;
        }
        match self.executed(&transaction).await? {
            Carried::Mined { tx, success: true } => self.confirm(&tx.to_string()).await,
            Carried::Mined { tx, success: false } => self.reverted(&tx.to_string()).await,
            Carried::Refused(reason) => {
                let message = format!("the signed transaction would revert: {reason}");
                self.end_by_cancel(Some(Status::Failed), "SimulationReverted", &message).await
            }
        }
    }

    /// Carries `execTransaction` with both signatures.
    pub(super) async fn executed(&self, transaction: &Transaction) -> Result<Carried, Trouble> {
        let missing = || Trouble::Wait("a stored signature is missing; restore the database".to_owned());
        let hot = transaction.hot_signature.clone().ok_or_else(missing)?;
        let cool = transaction.cool_signature.clone().ok_or_else(missing)?;
        let signatures = [(KeyRole::Hot, hot), (KeyRole::Cool, cool)];
        let call = self.app.trust.rules().assemble(&transaction.unsigned, &self.wallet, &signatures)?.into();
        // execTransaction returns true.
        let right = |answer: &[u8]| answer.len() == 32 && answer[31] == 1;
        self.carry(Purpose::Execution(transaction.kind), &call, right).await
    }

    pub(super) async fn confirm(&self, tx: &str) -> Result<(), Trouble> {
        tracing::info!(payment = self.payment.id, tx, "payment confirmed");
        let payment = self.at(Stage::Done, Status::Confirmed);
        Ok(self.app.store.update(Payment { tx: Some(tx.to_owned()), reason: None, message: None, ..payment }).await?)
    }

    /// The Safe's nonce is as before: the same signatures may go through next time.
    async fn reverted(&self, tx: &str) -> Result<(), Trouble> {
        let reverts = self.payment.reverts + 1;
        if reverts >= MOST_REVERTS {
            let message = format!("transaction {tx} reverted, as did {} before it", reverts - 1);
            return self.end_by_cancel(Some(Status::Failed), "Reverted", &message).await;
        }
        Ok(self.app.store.update(Payment { reverts, ..self.at(Stage::Send, Status::Broadcast) }).await?)
    }
}
