//! The Safe's nonce has moved: the chain itself says which transaction used it, whoever sent it.

use super::{Step, Trouble};
use crate::store::{Payment, Stage, Status, Transaction};

impl Step<'_> {
    /// Whether the nonce of `transaction` is used; if so, the payment is brought to the end that follows from it.
    pub(super) async fn settled(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        let state = self.app.rpc.safe(self.address, &[]).await?;
        if state.nonce <= transaction.nonce {
            return Ok(false);
        }
        let executions = self.app.rpc.executions(self.address, transaction.from_block).await?;
        let index = state.nonce - transaction.nonce;
        if (executions.len() as u64) < index {
            return Err(Trouble::Wait(format!(
                "nonce {} is used; waiting for the node to say by what",
                transaction.nonce
            )));
        }
        let executed = executions.iter().find(|execution| execution.digest == transaction.digest);
        match executed {
            Some(execution) if execution.success => self.confirm(&execution.tx.to_string()).await?,
            Some(execution) => {
                let message = format!("transaction {} used the nonce and moved nothing", execution.tx);
                self.end(Status::Failed, "ExecutionFailed", &message).await?;
            }
            None => self.ended_otherwise(transaction.nonce).await?,
        }
        Ok(true)
    }

    /// Something else used the nonce, so this payment can't land any more.
    async fn ended_otherwise(&self, nonce: u64) -> Result<(), Trouble> {
        let cancelling = self.payment.stage == Stage::Cancel;
        let Payment { ending, reason, message, .. } = &self.payment;
        match ending {
            Some(status) => {
                self.end(*status, reason.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default()).await
            }
            None if cancelling => self.start_again().await,
            None => {
                let message =
                    format!("nonce {nonce} was used by another transaction of this wallet; ask again if need be");
                self.end(Status::Cancelled, "NonceUsed", &message).await
            }
        }
    }
}
