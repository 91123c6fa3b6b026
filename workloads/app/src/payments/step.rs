//! A payment, what its steps need, and the ways in which one step ends: on to the next, the end, the cancel, the start.

use chain::{Claim, Effect, Refusal, WalletDesc, WalletState};

use super::trouble::Trouble;
use crate::{
    app::App,
    domain::{ClientKey, Kind, Payment, Seed, Stage, Status, Transaction},
};

/// See the module.
pub(super) struct Step<'a> {
    pub(super) app: &'a App,
    pub(super) wallet: WalletDesc,
    pub(super) client_key: Option<ClientKey>,
    pub(super) payment: Payment,
}

impl<'a> Step<'a> {
    pub(super) async fn load(app: &'a App, payment: Payment) -> Result<Self, Trouble> {
        let id = &payment.order.wallet;
        let lost = || Trouble::Wait(format!("wallet {id} is not registered; restore the database"));
        let attested = app.store.wallet(id).await?.and_then(|wallet| wallet.attested);
        let wallet = app.trust.wallet(&attested.ok_or_else(lost)?.hot_key)?;
        let client_key = app.client_key(id).await?;
        Ok(Self { app, wallet, client_key, payment })
    }

    /// The wallet as the chain has it, without balances.
    pub(super) async fn on_chain(&self) -> Result<WalletState, Trouble> {
        Ok(self.app.client.wallet_state(&self.wallet, &[]).await?)
    }

    /// A transaction with this effect that uses up `claims`, not signed. What we ourselves would refuse is not sent to
    /// the signers, who decode the same bytes.
    pub(super) fn build(
        &self,
        kind: Kind,
        effect: &Effect,
        claims: &[Claim],
        from_block: u64,
    ) -> Result<Result<Transaction, Refusal>, Trouble> {
        let (rules, assets) = (self.app.trust.rules(), self.app.trust.assets().as_slice());
        let unsigned = rules.build(effect, &self.wallet, assets, claims)?;
        Ok(rules.decode(&unsigned, &self.wallet, assets).map(|decoded| Transaction {
            kind,
            claims: decoded.claims,
            from_block,
            unsigned,
            id: decoded.id,
            hot: None,
            cool: None,
        }))
    }

    pub(super) async fn transaction(&self, kind: Kind) -> Result<Option<Transaction>, Trouble> {
        Ok(self.app.store.transaction(self.payment.id, kind).await?)
    }

    /// What the owners are asked to sign to pay.
    pub(super) async fn own_transaction(&self) -> Result<Transaction, Trouble> {
        let lost = || Trouble::Wait(format!("payment {} lost its transaction; restore the database", self.payment.id));
        self.transaction(Kind::Payment).await?.ok_or_else(lost)
    }

    /// The payment, about to take `stage`.
    pub(super) fn at(&self, stage: Stage, status: Status) -> Payment {
        Payment { stage, status, trouble: None, not_before: None, ..self.payment.clone() }
    }

    pub(super) async fn go(&self, stage: Stage, status: Status) -> Result<(), Trouble> {
        Ok(self.app.store.update(self.at(stage, status)).await?)
    }

    /// The payment has ended without being paid, and can't be any more.
    pub(super) async fn end(&self, status: Status, reason: &str, message: &str) -> Result<(), Trouble> {
        Ok(self.app.store.update(self.ended(status, reason, message)).await?)
    }

    /// The payment, ended so.
    pub(super) fn ended(&self, status: Status, reason: &str, message: &str) -> Payment {
        tracing::info!(payment = %self.payment.id, status = status.as_str(), reason, why = message, "payment ended");
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        Payment { reason, message, back: None, ..self.at(Stage::Done, status) }
    }

    /// The payment will end so, once the cancel has used up its claims. `None`: it will start again.
    pub(super) async fn end_by_cancel(
        &self,
        ending: Option<Status>,
        reason: &str,
        message: &str,
    ) -> Result<(), Trouble> {
        tracing::warn!(payment = %self.payment.id, reason, why = message, "the payment is cancelled on the chain");
        // No time lock is waited for any more.
        let status = Some(self.payment.status).filter(|status| *status != Status::Waiting).unwrap_or(Status::Checked);
        let payment = self.at(Stage::Cancel, status);
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        Ok(self.app.store.update(Payment { ending, reason, message, block: None, ..payment }).await?)
    }

    /// Nothing is, or can become, valid with the present claims: the payment starts again with the next.
    pub(super) async fn start_again(&self) -> Result<(), Trouble> {
        let payment = Payment {
            seed: Seed::random(),
            ending: None,
            reason: None,
            message: None,
            cancel_attempts: 0,
            reverts: 0,
            tx: None,
            block: None,
            back: None,
            ..self.at(Stage::Prepare, Status::Accepted)
        };
        Ok(self.app.store.restart(payment).await?)
    }
}

/// Whether the wallet's next transaction may use up all that this one does.
pub(super) fn still_free(transaction: &Transaction, state: &WalletState) -> bool {
    transaction.claims.iter().all(|claim| state.next.contains(claim))
}
