//! The Safe's nonce as the chain has it, and the transaction at that nonce. Nothing is signed at it yet.

use chain::ChainRules;

use super::{Step, Trouble};
use crate::store::{Kind, Stage, Status, Transaction};

impl Step<'_> {
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        let state = self.app.rpc.safe(self.address, &[]).await?;
        let trust = &self.app.trust;
        let unsigned = trust.rules().build(&self.intent()?, trust.assets(), state.nonce)?;
        // What the signers will decode: a transaction that we ourselves would refuse is not sent to them.
        let digest = match trust.rules().decode(&unsigned, &self.wallet, trust.assets()) {
            Ok(decoded) => decoded.digest,
            Err(refusal) => return self.end(Status::Refused, refusal.reason, &refusal.message).await,
        };
        let transaction = Transaction {
            kind: Kind::Payment,
            nonce: state.nonce,
            from_block: state.block,
            unsigned,
            digest,
            hot_signature: None,
            cool_signature: None,
        };
        Ok(self.app.store.record(self.at(Stage::Check, Status::Checking), transaction).await?)
    }
}
