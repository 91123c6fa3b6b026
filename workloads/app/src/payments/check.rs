//! Would both signers sign it, has the wallet the money, would the destination take it? Nothing is stored by the
//! signers and nothing is signed, so whatever is refused here costs nothing.

use chain_evm_client::{ClientError, SafeState};
use custody::Role;

use super::{Step, Trouble};
use crate::{
    signers::{Ask, Refused},
    store::{Stage, Status, Transaction},
};

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
        if let Some(refused) = self.asked_both(&transaction).await? {
            return if refused.nonce_is_taken() {
                self.end_by_cancel(None, &refused.reason, &refused.to_string()).await
            } else {
                self.end(Status::Refused, &refused.reason, &refused.to_string()).await
            };
        }
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
                self.go_on(&state).await
            }
        }
    }

    async fn go_on(&self, state: &SafeState) -> Result<(), Trouble> {
        match state.deployed {
            true => self.go(Stage::Sign, Status::Signing).await,
            false => self.go(Stage::Deploy, Status::Checking).await,
        }
    }

    /// The first refusal, if there is one.
    async fn asked_both(&self, transaction: &Transaction) -> Result<Option<Refused>, Trouble> {
        let (keeper, cooler) =
            tokio::join!(self.asked(Role::Keeper, transaction), self.asked(Role::Cooler, transaction));
        Ok(keeper?.or(cooler?))
    }

    async fn asked(&self, signer: Role, transaction: &Transaction) -> Result<Option<Refused>, Trouble> {
        let ask = Ask {
            operation: self.seed().operation(&format!("check-{signer}")),
            wallet: self.wallet_id()?,
            chain: self.app.chain.id.clone(),
            unsigned: transaction.unsigned.clone(),
        };
        match self.app.signers.check(signer, ask, &transaction.digest).await {
            Ok(()) => Ok(None),
            Err(denial) => Ok(Some(denial.refusal()?)),
        }
    }
}
