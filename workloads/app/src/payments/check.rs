//! Would both signers sign it, has the wallet the money, would the destination take it? Nothing is stored by the
//! signers and nothing is signed, so whatever is refused here costs nothing.

use std::slice;

use chain::{Amount, Asset, ClientError, Created, Simulated, WalletState};

use super::{
    ask::{Question, Verdict},
    step::{Step, still_free},
    trouble::Trouble,
};
use crate::domain::{Stage, Status};

impl Step<'_> {
    pub(super) async fn check(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        let order = &self.payment.order;
        let Some(asset) = self.app.trust.assets().get(&order.asset) else {
            let message = format!("asset {} is no longer configured", order.asset);
            return self.end(Status::Refused, "UnknownAsset", &message).await;
        };
        let (state, held) = self.held(asset).await?;
        if !still_free(&transaction, &state) {
            return self.start_again().await;
        }
        let later = match self.asked_both(Question::Check, &transaction).await? {
            Verdict::Refused(refused) => return self.refused(&transaction, refused).await,
            Verdict::Later(_) => true,
            Verdict::Allowed => false,
        };
        let amount = order.amount.get();
        if let Some(held) = held.filter(|held| *held < amount) {
            let message = format!("the wallet holds {held} of {}'s smallest unit, not {amount}", order.asset);
            return self.lacks(message, state.block).await;
        }
        match self.app.client.simulate(&self.wallet, &order.effect(), slice::from_ref(asset)).await? {
            Simulated::Refused(reason) => {
                let message = format!("the transfer would revert: {reason}");
                self.end(Status::Failed, "SimulationReverted", &message).await
            }
            Simulated::Passes if later => self.hold().await,
            Simulated::Passes if state.created == Created::No => self.go(Stage::Deploy, Status::Checked).await,
            Simulated::Passes => self.go(Stage::Sign, Status::Checked).await,
        }
    }

    /// The wallet with what it holds of the asset; without, where the asset is a contract that does not tell. Whether it
    /// would move all the same, the simulation says.
    async fn held(&self, asset: &Asset) -> Result<(WalletState, Option<Amount>), Trouble> {
        match self.app.client.wallet_state(&self.wallet, slice::from_ref(asset)).await {
            Ok(state) => {
                let held = state.balances.first().copied().unwrap_or_default();
                Ok((state, Some(held)))
            }
            Err(ClientError::Malformed { .. } | ClientError::Reverted { .. }) if asset.contract.is_some() => {
                Ok((self.on_chain().await?, None))
            }
            Err(error) => Err(error.into()),
        }
    }
}
