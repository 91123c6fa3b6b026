//! Would both signers sign it, has the wallet the money, would the destination take it? Nothing is stored by the
//! signers and nothing is signed, so whatever is refused here costs nothing.

use std::slice;

use chain::{Created, Simulated};

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
        let held = match held {
            Ok(held) => held,
            Err(why) => return self.end(Status::Failed, "UnreadableAsset", &why).await,
        };
        if held < amount {
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
}
