//! The wallet lacks the money at a block that may still vanish, or that an old answer of a node is of: the payment waits
//! until the money is there, or that block stays. Nothing is signed for it, and the wallet's other payments go on.

use std::slice;

use chain::Asset;

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status};

/// The reason of such a payment.
const REASON: &str = "InsufficientBalance";

impl Step<'_> {
    /// The wallet lacked the money at this block.
    pub(super) async fn lacks(&self, message: String, block: u64) -> Result<(), Trouble> {
        let payment = match self.app.client.place(block).await?.settled {
            true => self.ended(Status::Failed, REASON, &message),
            false => Payment {
                reason: Some(REASON.to_owned()),
                message: Some(message),
                ..self.at(Stage::Short, Status::Accepted)
            },
        };
        Ok(self.app.store.update(Payment { block: Some(block), ..payment }).await?)
    }

    /// Whether it has a step to take again.
    pub(super) async fn short(&self) -> Result<bool, Trouble> {
        let order = &self.payment.order;
        let Some(asset) = self.app.trust.assets().get(&order.asset) else {
            return self.start_again().await.map(|()| true);
        };
        if self.holds(asset).await? {
            return self.start_again().await.map(|()| true);
        }
        let settled = match self.payment.block {
            Some(block) => self.app.client.place(block).await?.settled,
            None => false,
        };
        if settled {
            self.end(Status::Failed, REASON, self.payment.message.as_deref().unwrap_or_default()).await?;
        }
        Ok(false)
    }

    async fn holds(&self, asset: &Asset) -> Result<bool, Trouble> {
        let state = self.app.client.wallet_state(&self.wallet, slice::from_ref(asset)).await?;
        Ok(state.balances.first().copied().unwrap_or_default() >= self.payment.order.amount.get())
    }
}
