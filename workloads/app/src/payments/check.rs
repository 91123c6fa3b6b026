//! Would both signers sign it, has the wallet the money, would the destination take it? Nothing is stored by the
//! signers and nothing is signed, so whatever is refused here costs nothing.

use chain_evm_client::{ClientError, SafeState};

use super::{
    Step, Trouble,
    ask::{Question, Verdict},
};
use crate::store::{Stage, Status};

impl Step<'_> {
    pub(super) async fn check(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        let asset = self.app.chain.asset(&self.payment.asset);
        let Some(asset) = asset else {
            let message = format!("asset {} is no longer configured", self.payment.asset);
            return self.end(Status::Refused, "UnknownAsset", &message).await;
        };
        let tokens: Vec<_> = asset.token.into_iter().collect();
        let state = self.app.rpc.safe(self.address, &tokens).await?;
        if state.nonce != transaction.nonce {
            return self.start_again().await;
        }
        let later = match self.asked_both(Question::Check, &transaction).await? {
            Verdict::Refused(refused) => return self.refused(&transaction, refused).await,
            Verdict::Later(_) => true,
            Verdict::Allowed => false,
        };
        let amount = self.amount()?;
        let held = state.tokens.first().copied().unwrap_or(state.native);
        if held < amount {
            let message = format!("the wallet holds {held} of {}'s smallest unit, not {amount}", asset.symbol);
            return self.end(Status::Failed, "InsufficientBalance", &message).await;
        }
        let to = self.app.trust.parse(&self.payment.to)?;
        match self.app.rpc.simulate_transfer(self.address, asset.token, to, amount).await {
            Err(ClientError::Reverted { revert, .. }) => {
                self.end(Status::Failed, "SimulationReverted", &format!("the transfer would revert: {revert}")).await
            }
            other => {
                other?;
                match later {
                    true => self.hold().await,
                    false => self.go_on(&state).await,
                }
            }
        }
    }

    async fn go_on(&self, state: &SafeState) -> Result<(), Trouble> {
        match state.deployed {
            true => self.go(Stage::Sign, Status::Signing).await,
            false => self.go(Stage::Deploy, Status::Checking).await,
        }
    }
}
