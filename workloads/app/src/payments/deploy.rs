//! The wallet's contract, in a transaction of its own before the first payment. Anybody may have deployed it: the
//! address binds the owners.

use alloy_primitives::Address;

use super::{Step, Trouble, carry::Carried};
use crate::store::{Purpose, Stage, Status};

impl Step<'_> {
    pub(super) async fn deploy(&self) -> Result<(), Trouble> {
        match self.deployed().await? {
            None => self.go(Stage::Sign, Status::Signing).await,
            // Nothing is signed yet.
            Some(reason) => self.end(Status::Failed, "NotDeployable", &reason).await,
        }
    }

    /// Deploys the contract if it has no code; why it can't be, if so.
    pub(super) async fn deployed(&self) -> Result<Option<String>, Trouble> {
        if let Some(wrong) = self.contract().await? {
            return Ok(wrong.err());
        }
        let call = self.app.trust.rules().deployment(&self.wallet)?.into();
        let created = |answer: &[u8]| answer.get(12..32) == Some(self.address.as_slice());
        match self.carry(Purpose::Deployment, &call, created).await? {
            Carried::Mined { success: true, .. } => {}
            Carried::Mined { success: false, tx, .. } => tracing::warn!(%tx, "the deployment reverted"),
            Carried::Refused(reason) => {
                // Somebody else may have been faster; then there is code now.
                return Ok(match self.contract().await? {
                    Some(state) => state.err(),
                    None => Some(format!("{} can't be deployed on {}: {reason}", self.address, self.app.chain.id)),
                });
            }
        }
        match self.contract().await? {
            Some(state) => Ok(state.err()),
            None => Err(Trouble::Wait("the wallet's contract is sent, and not on the chain yet".to_owned())),
        }
    }

    /// Whether the code at the address is our wallet; `None` while there is no code.
    async fn contract(&self) -> Result<Option<Result<(), String>>, Trouble> {
        let state = self.app.rpc.safe(self.address, &[]).await?;
        if !state.deployed {
            return Ok(None);
        }
        let owners: Vec<String> = state.owners.iter().map(Address::to_string).collect();
        let ours = state.threshold == chain_evm::constants::THRESHOLD && owners == self.wallet.owner_addresses;
        let wrong = || format!("{} has owners {owners:?} and threshold {}", self.address, state.threshold);
        Ok(Some(if ours { Ok(()) } else { Err(wrong()) }))
    }
}
