//! What the wallet's next transaction may use up, as the chain has it, and the transaction. Nothing is signed yet.

use super::{step::Step, trouble::Trouble};
use crate::domain::{Kind, Stage, Status};

impl Step<'_> {
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        let state = self.on_chain().await?;
        // What a followed payment has used up is free again: its block has vanished, and it goes first.
        if let Some(earlier) = self.app.store.holder(&self.payment.order.wallet, &state.next).await? {
            return Err(Trouble::Vanished { earlier });
        }
        match self.build(Kind::Payment, &self.payment.order.effect(), &state.next, state.block)? {
            Ok(transaction) => Ok(self.app.store.record(self.at(Stage::Check, Status::Accepted), transaction).await?),
            Err(refusal) => self.end(Status::Refused, refusal.reason, &refusal.message).await,
        }
    }
}
