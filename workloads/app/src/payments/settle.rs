//! The claims are used up: the chain itself says by which transaction, whoever sent it.

use chain::{Fate, Look};

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status, Transaction};

impl Step<'_> {
    /// Whether the claims of `transaction` are used up; if so, the payment is brought to the end that follows from it.
    pub(super) async fn settled(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        let Transaction { id, claims, from_block, .. } = transaction;
        let claimed = transaction.claimed();
        match self.app.client.fate(&self.wallet, id, claims, Look::Since(*from_block)).await? {
            Fate::Open | Fate::Early(_) => return Ok(false),
            Fate::Untold => {
                return Err(Trouble::Wait(format!("{claimed} is used; waiting for the node to say by what")));
            }
            Fate::Done { tx, success: true, .. } => self.confirm(tx).await?,
            Fate::Done { tx, success: false, .. } => {
                let message = format!("transaction {tx} used {claimed} and moved nothing");
                self.end(Status::Failed, "ExecutionFailed", &message).await?;
            }
            Fate::Superseded { .. } => self.ended_otherwise(&claimed).await?,
        }
        Ok(true)
    }

    /// Another transaction used the claims, so this payment can't execute any more.
    async fn ended_otherwise(&self, claimed: &str) -> Result<(), Trouble> {
        let cancelling = self.payment.stage == Stage::Cancel;
        let Payment { ending, reason, message, .. } = &self.payment;
        match ending {
            Some(status) => {
                self.end(*status, reason.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default()).await
            }
            None if cancelling => self.start_again().await,
            None => {
                let message = format!(
                    "{claimed} was used by another transaction of this wallet; ask again if it is still to be paid"
                );
                self.end(Status::Cancelled, "NonceUsed", &message).await
            }
        }
    }
}
