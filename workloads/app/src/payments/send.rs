//! Both signatures are there: simulate the very transaction, send it, follow it.

use chain::execute::Carried;

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status};

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
            Carried::Mined { tx, success: true } => self.confirm(tx).await,
            Carried::Mined { tx, success: false } => self.reverted(&tx).await,
            Carried::Refused(reason) => {
                let message = format!("the signed transaction would revert: {reason}");
                self.end_by_cancel(Some(Status::Failed), "SimulationReverted", &message).await
            }
            Carried::OverGas(message) => self.end_by_cancel(Some(Status::Failed), "GasOverCeiling", &message).await,
            Carried::Lost(lost) => Err(Trouble::Wait(lost.to_string())),
        }
    }

    /// The claims are as free as before: the same signatures may go through next time.
    async fn reverted(&self, tx: &str) -> Result<(), Trouble> {
        let reverts = self.payment.reverts + 1;
        if reverts >= MOST_REVERTS {
            let message = format!("transaction {tx} reverted, as did {} before it", reverts - 1);
            return self.end_by_cancel(Some(Status::Failed), "Reverted", &message).await;
        }
        Ok(self.app.store.update(Payment { reverts, ..self.at(Stage::Send, Status::Broadcast) }).await?)
    }
}
