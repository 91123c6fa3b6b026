//! What a block decides is followed until the block stays. A block that vanishes takes its payment back to where it was.

use super::{
    settle::Standing,
    step::{Step, still_free},
    trouble::Trouble,
};
use crate::domain::{Payment, Stage, Status, Transaction};

impl Step<'_> {
    /// Whether it has a step to take again.
    pub(super) async fn follow(&self) -> Result<bool, Trouble> {
        let transaction = self.own_transaction().await?;
        match self.standing(&transaction).await? {
            Standing::Untold => Err(Trouble::Untold { claimed: transaction.claimed() }),
            Standing::Decided(decision) => self.decided(decision).await,
            Standing::Open | Standing::Early(_) => self.vanished(transaction).await.map(|()| true),
        }
    }

    /// The block is not in the chain any more: its transactions have to be sent again.
    async fn vanished(&self, transaction: Transaction) -> Result<(), Trouble> {
        let state = self.on_chain().await?;
        let stage = self.payment.back.unwrap_or(Stage::Send);
        let status = match self.payment.status {
            Status::Included => Status::Broadcast,
            status => status,
        };
        // What it was about to end with, unless that is why it is being cancelled.
        let why = |text: &Option<String>| text.clone().filter(|_| stage == Stage::Cancel);
        let (reason, message) = (why(&self.payment.reason), why(&self.payment.message));
        let payment = Payment { tx: None, block: None, back: None, reason, message, ..self.at(stage, status) };
        tracing::warn!(payment = %payment.id, block = self.payment.block, "the block of a payment has vanished");
        // In the chain as it is now, the claims may be used up earlier than they were before.
        let from_block = match still_free(&transaction, &state) {
            true => transaction.from_block.min(state.block),
            false => transaction.from_block,
        };
        Ok(self.app.store.record(payment, Transaction { from_block, ..transaction }).await?)
    }
}
