//! Both signatures are there: simulate the very transaction, send it, follow it.

use chain::{Created, execute::Carried};

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status, Transaction};

/// Mined and reverted this often although the simulation passed: given up.
const MOST_REVERTS: u32 = 3;

impl Step<'_> {
    pub(super) async fn send(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        if self.settled_or_next(&transaction).await? {
            return Ok(());
        }
        if self.payment.status != Status::Broadcast {
            self.go(Stage::Send, Status::Broadcast).await?;
        }
        match self.executed(&transaction).await? {
            Carried::Mined { tx, success: true } => self.landed(&transaction, tx).await,
            Carried::Mined { tx, success: false } => self.reverted(&tx).await,
            Carried::Refused(reason) => self.would_revert(&transaction, reason).await,
            Carried::OverGas(message) => self.end_by_cancel(Some(Status::Failed), "GasOverCeiling", &message).await,
            Carried::Lost(lost) => Err(Trouble::Wait(lost.to_string())),
        }
    }

    /// Perhaps a block came between, or the money was in a block that has vanished: only what speaks against the payment
    /// at a block that stays ends it.
    async fn would_revert(&self, transaction: &Transaction, reason: String) -> Result<(), Trouble> {
        if self.settled_or_next(transaction).await? {
            return Ok(());
        }
        if self.on_chain().await?.created == Created::No {
            // The block with the wallet's contract has vanished too.
            return match self.created().await? {
                None => Ok(()),
                Some(reason) => Err(Trouble::Wait(reason)),
            };
        }
        let block = match self.payment.block {
            Some(block) => block,
            None => self.app.client.head(None).await?.number,
        };
        let message = format!("the signed transaction would revert: {reason}");
        if self.app.client.place(block).await?.settled {
            return self.end_by_cancel(Some(Status::Failed), "SimulationReverted", &message).await;
        }
        self.app.store.update(Payment { block: Some(block), ..self.at(Stage::Send, Status::Broadcast) }).await?;
        Err(Trouble::WouldRevert { message, block })
    }

    /// The claims are as free as before: the same signatures may go through next time.
    async fn reverted(&self, tx: &str) -> Result<(), Trouble> {
        let reverts = self.payment.reverts + 1;
        if reverts >= MOST_REVERTS {
            let message = format!("transaction {tx} reverted, as did {} before it", reverts - 1);
            return self.end_by_cancel(Some(Status::Failed), "Reverted", &message).await;
        }
        Ok(self.app.store.update(Payment { reverts, block: None, ..self.at(Stage::Send, Status::Broadcast) }).await?)
    }
}
