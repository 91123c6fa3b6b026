//! Ends a nonce at which something is signed that will not be sent: the cancel (value 0, no data, to a destination of
//! the manifest), signed by both. Until it is mined, the wallet pays nothing else.

use chain::{ChainRules, Effect};

use super::{Step, Trouble, carry::Carried, sign::Unsigned};
use crate::store::{Kind, Payment, Stage, Transaction};

impl Step<'_> {
    pub(super) async fn cancel(&self) -> Result<(), Trouble> {
        let payment = self.own_transaction().await?;
        if self.settled(&payment).await? {
            return Ok(());
        }
        if let Some(reason) = self.deployed().await? {
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
                return Err(Trouble::CancelRefused { nonce: payment.nonce, refused });
            }
            Err(Unsigned::Later) => {
                return Err(Trouble::Wait(
                    "a signer holds up the cancel; it has no time lock by any local policy".to_owned(),
                ));
            }
        };
        match self.executed(&cancel).await? {
            Carried::Mined { success: true, .. } => self.settled(&payment).await.map(drop),
            Carried::Mined { success: false, tx } => Err(Trouble::Wait(format!("the cancel reverted in {tx}"))),
            Carried::Refused(reason) => Err(Trouble::Wait(format!("the cancel would revert: {reason}"))),
        }
    }

    /// The cancel at the payment's nonce, built and stored once.
    async fn cancel_transaction(&self, payment: &Transaction) -> Result<Transaction, Trouble> {
        if let Some(stored) = self.transaction(Kind::Cancel).await? {
            return Ok(stored);
        }
        let trust = &self.app.trust;
        let intent = Effect::Cancel { to: trust.cancel_destination().to_owned() };
        let unsigned = trust.rules().build(&intent, trust.assets(), payment.nonce)?;
        let decoded = trust.rules().decode(&unsigned, &self.wallet, trust.assets());
        let decoded = decoded.map_err(|refusal| Trouble::Wait(format!("the cancel is refused here: {refusal}")))?;
        let cancel = Transaction {
            kind: Kind::Cancel,
            nonce: payment.nonce,
            from_block: payment.from_block,
            unsigned,
            digest: decoded.digest,
            hot_signature: None,
            cool_signature: None,
        };
        self.app.store.record(self.at(Stage::Cancel, self.payment.status), cancel.clone()).await?;
        Ok(cancel)
    }
}
