//! What the wallet's next transaction may use up, as the chain has it, and the transaction. Nothing is signed yet, unless
//! the signers' records say otherwise: then this very transaction is taken up again.

use chain::Fate;

use super::{step::Step, trouble::Trouble};
use crate::{
    domain::{Kind, Lost, Stage, Status},
    recovery,
};

impl Step<'_> {
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        for lost in self.app.store.lost(self.payment.id).await? {
            match recovery::fate(self.app, &self.wallet, &lost).await? {
                // It can't happen any more. Whether another may be signed is the signers' to say.
                Fate::Superseded { place } if place.settled => {}
                Fate::Superseded { .. } => {
                    return Err(Trouble::Wait(
                        "another transaction has used what was signed for this payment; waiting until its block stays"
                            .to_owned(),
                    ));
                }
                Fate::Untold => {
                    return Err(Trouble::Wait("the node does not tell yet what became of this payment".to_owned()));
                }
                Fate::Open | Fate::Early(_) | Fate::Done { .. } => return self.take_up(&lost).await,
            }
        }
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

    /// Goes on with what was signed for this payment before the database forgot it. The signers sign it again.
    async fn take_up(&self, lost: &Lost) -> Result<(), Trouble> {
        let other =
            || Trouble::Wait("the signers have signed something else for this payment; see their records".to_owned());
        let built = self.build(Kind::Payment, &self.payment.order.effect(), &lost.claims, lost.from_block)?;
        let transaction = built.ok().filter(|built| built.id == lost.id).ok_or_else(other)?;
        if let Some(reason) = self.created().await? {
            return Err(Trouble::Wait(reason));
        }
        tracing::info!(payment = %self.payment.id, "the signers have signed for it before: it goes on from there");
        Ok(self.app.store.record(self.at(Stage::Sign, Status::Checked), transaction).await?)
    }
}
