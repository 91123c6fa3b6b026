//! Uses up the claims with which something is signed that will not be sent: the cancel (no amount, to a destination of
//! the manifest), signed by both. Until it is in a block, the wallet pays nothing else.

use chain::{Effect, Simulated, execute::Carried};

use super::{sign::Unsigned, step::Step, trouble::Trouble};
use crate::domain::{Kind, Payment, Stage, Transaction};

impl Step<'_> {
    pub(super) async fn cancel(&self) -> Result<(), Trouble> {
        let payment = self.own_transaction().await?;
        if self.settled_or_next(&payment).await? {
            return Ok(());
        }
        if let Some(reason) = self.created().await? {
            return Err(Trouble::Wait(reason));
        }
        let cancel = match self.transaction(Kind::Cancel).await? {
            Some(stored) => stored,
            None => self.cancel_transaction(&payment, None).await?,
        };
        let label = format!("cancel-{}", self.payment.cancel_attempts);
        let cancel = match self.signed(cancel, &label, self.payment.clone()).await? {
            Ok(cancel) => cancel,
            Err(Unsigned::ByKeeper(refused) | Unsigned::ByCooler(refused)) => {
                // A refusal is final for its operation: the next attempt is another operation.
                let cancel_attempts = self.payment.cancel_attempts + 1;
                self.app.store.update(Payment { cancel_attempts, ..self.payment.clone() }).await?;
                return Err(Trouble::CancelRefused { claimed: payment.claimed(), refused });
            }
            Err(Unsigned::Later) => {
                return Err(Trouble::Wait(
                    "a signer delays the cancel, which no local policy puts a time lock on; asked again".to_owned(),
                ));
            }
        };
        match self.executed(&cancel).await? {
            Carried::Mined { success: true, tx } => self.landed(&payment, tx).await,
            Carried::Mined { success: false, tx } => Err(Trouble::Wait(format!("the cancel reverted in {tx}"))),
            Carried::OverGas(why) => Err(Trouble::Wait(format!("the cancel is not sent: {why}"))),
            Carried::Refused(_) if self.settled_or_next(&payment).await? => Ok(()),
            // Its destination has changed its mind; the signers take a cancel to any other.
            Carried::Refused(_) => self.cancel_transaction(&payment, Some(&cancel)).await.map(drop),
            Carried::Lost(lost) => Err(Trouble::Wait(lost.to_string())),
        }
    }

    /// The cancel that uses up the payment's claims, to the first safe destination that takes an empty call; built and
    /// stored once, and in place of one that would revert.
    async fn cancel_transaction(
        &self,
        payment: &Transaction,
        reverting: Option<&Transaction>,
    ) -> Result<Transaction, Trouble> {
        let mut refusals = Vec::new();
        for to in self.app.trust.cancel_destinations() {
            let effect = Effect::Cancel { to: to.to_string() };
            let cancel = self.build(Kind::Cancel, &effect, &payment.claims, payment.from_block)?;
            let cancel =
                cancel.map_err(|refusal| Trouble::Wait(format!("App itself refuses the cancel: {refusal}")))?;
            if reverting.is_some_and(|reverting| reverting.unsigned == cancel.unsigned) {
                refusals.push(format!("{to} lets it revert"));
                continue;
            }
            match self.app.client.simulate(&self.wallet, &effect, self.app.trust.assets().as_slice()).await? {
                Simulated::Refused(reason) => refusals.push(format!("{to}: {reason}")),
                Simulated::Passes => {
                    // Other bytes are another operation.
                    let cancel_attempts = self.payment.cancel_attempts + u32::from(reverting.is_some());
                    let cancelling = Payment { cancel_attempts, ..self.at(Stage::Cancel, self.payment.status) };
                    self.app.store.record(cancelling, cancel.clone()).await?;
                    return Ok(cancel);
                }
            }
        }
        Err(Trouble::NoCancel { claimed: payment.claimed(), refusals: refusals.join("; ") })
    }
}
