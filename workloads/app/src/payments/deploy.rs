//! The wallet is created on the chain, in a transaction of its own before the first payment. Anybody may have done it:
//! the address binds the owners.

use chain::execute::Readiness;

use super::{step::Step, trouble::Trouble};
use crate::domain::{Kind, Stage, Status};

impl Step<'_> {
    pub(super) async fn deploy(&self) -> Result<(), Trouble> {
        match self.created().await? {
            None => self.go(Stage::Sign, Status::Checked).await,
            // Nothing is signed yet.
            Some(reason) => self.end(Status::Failed, "NotDeployable", &reason).await,
        }
    }

    /// Creates the wallet if it is not there; why it can't be, if so.
    pub(super) async fn created(&self) -> Result<Option<String>, Trouble> {
        match self.executor(Kind::Payment).create().await? {
            Readiness::Ready => Ok(None),
            Readiness::Impossible(reason) => Ok(Some(reason)),
            Readiness::NotSeen => Err(Trouble::NotCreated),
            Readiness::Lost(lost) => Err(Trouble::Wait(lost.to_string())),
        }
    }
}
