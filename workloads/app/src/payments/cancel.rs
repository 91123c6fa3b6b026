//! Uses up the claims with which something is signed that will not be sent: the cancel (no amount, to a destination of
//! the manifest), signed by both. Until it is mined, the wallet pays nothing else.

use chain::{Effect, execute::Carried};

use super::{sign::Unsigned, step::Step, trouble::Trouble};
use crate::domain::{Kind, Payment, Stage, Transaction};

impl Step<'_> {
    pub(super) async fn cancel(&self) -> Result<(), Trouble> {
        let payment = self.own_transaction().await?;
        if self.settled(&payment).await? {
            return Ok(());
        }
        if let Some(reason) = self.created().await? {
            return Err(Trouble::Wait(reason));
        }
        let cancel = self.cancel_transaction(&payment).await?;
        let label = format!("cancel-{}", self.payment.cancel_attempts);
        let cancel = match self.signed(cancel, &label).await? {
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
            Carried::Mined { success: true, .. } => self.settled(&payment).await.map(drop),
            Carried::Mined { success: false, tx } => Err(Trouble::Wait(format!("the cancel reverted in {tx}"))),
            Carried::OverGas(why) => Err(Trouble::Wait(format!("the cancel is not sent: {why}"))),
            Carried::Refused(reason) => Err(Trouble::Wait(format!("the cancel would revert: {reason}"))),
            Carried::Lost(lost) => Err(Trouble::Wait(lost.to_string())),
        }
    }

    /// The cancel that uses up the payment's claims, built and stored once.
    async fn cancel_transaction(&self, payment: &Transaction) -> Result<Transaction, Trouble> {
        if let Some(stored) = self.transaction(Kind::Cancel).await? {
            return Ok(stored);
        }
        let effect = Effect::Cancel { to: self.app.trust.cancel_destination().to_string() };
        let cancel = self.build(Kind::Cancel, &effect, &payment.claims, payment.from_block)?;
        let cancel = cancel.map_err(|refusal| Trouble::Wait(format!("App itself refuses the cancel: {refusal}")))?;
        self.app.store.record(self.at(Stage::Cancel, self.payment.status), cancel.clone()).await?;
        Ok(cancel)
    }
}
