//! What the wallet's next transaction may use up, as the chain has it, and the transaction. Nothing is signed yet.

use super::{step::Step, trouble::Trouble};
use crate::domain::{Kind, Stage, Status};

impl Step<'_> {
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        let state = self.on_chain().await?;
        match self.build(Kind::Payment, &self.payment.order.effect(), &state.next, state.block)? {
            Ok(transaction) => Ok(self.app.store.record(self.at(Stage::Check, Status::Checking), transaction).await?),
            Err(refusal) => self.end(Status::Refused, refusal.reason, &refusal.message).await,
        }
    }
}
