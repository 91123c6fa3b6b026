//! A payment's way from the stored intent to the chain, one file a step. Each step is done and on the disk before the
//! next begins, and may be taken again after a crash: operation ids, nonce and relayed transactions are stored first.
//!
//! Prepare -> Check -> (Deploy) -> Sign -> Send -> Done. What a signer's time lock holds up goes through Wait and back to
//! where it was. What can't be completed once something is signed for it goes through Cancel: a payment's end is told
//! only when it can no longer land.

mod ask;
mod cancel;
mod carry;
mod check;
mod deploy;
mod prepare;
mod send;
mod settle;
mod sign;
mod wait;
mod workers;

use alloy_primitives::{Address, U256};
use chain::{Amount, ChainError, Effect, WalletDesc};
use chain_evm_client::ClientError;
use custody::{WalletId, ids::NameError};
use jiff::Timestamp;

use crate::{
    app::App,
    client_key::ClientKey,
    operation::Seed,
    signers::{Away, Refused},
    store::{Kind, Payment, Stage, Status, StoreError, Transaction},
    wallets::client_key,
};

pub(crate) use workers::{Workers, resume, wake};

/// Why a step did not get to its end. It is taken again, later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Chain(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Build(#[from] ChainError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("nonce {nonce} must be ended by the cancel, but {refused}; asked again until it is signed")]
    CancelRefused { nonce: u64, refused: Refused },
    #[error("{refused}; App's node or the sentinel's attestations have to catch up, then it goes on")]
    NotNext { refused: Refused },
    #[error("a signer holds this payment up; its time lock is asked for")]
    HeldUp,
    #[error("large payments wait for the signers' time locks, this one until {not_before}")]
    TimeLock { not_before: Timestamp },
    #[error("{0}")]
    Wait(String),
}

/// A payment, and what its steps need.
pub(crate) struct Step<'a> {
    app: &'a App,
    wallet: WalletDesc,
    address: Address,
    client_key: Option<ClientKey>,
    payment: Payment,
}

impl<'a> Step<'a> {
    pub(crate) async fn load(app: &'a App, payment: Payment) -> Result<Self, Trouble> {
        let lost = || Trouble::Wait(format!("wallet {} is not registered", payment.wallet));
        let wallet = app.store.wallet(payment.wallet.clone()).await?.and_then(|wallet| wallet.attested);
        let wallet = app.trust.wallet(&wallet.ok_or_else(lost)?.hot_key)?;
        let address = app.trust.parse(&wallet.address)?;
        let client_key = client_key(app, payment.wallet.clone()).await?;
        Ok(Self { app, wallet, address, client_key, payment })
    }

    /// Takes the payment's next step.
    pub(crate) async fn take(self) -> Result<(), Trouble> {
        match self.payment.stage {
            Stage::Prepare => self.prepare().await,
            Stage::Check => self.check().await,
            Stage::Wait => self.wait().await,
            Stage::Deploy => self.deploy().await,
            Stage::Sign => self.sign().await,
            Stage::Send => self.send().await,
            Stage::Cancel => self.cancel().await,
            Stage::Done => Ok(()),
        }
    }

    fn wallet_id(&self) -> Result<WalletId, Trouble> {
        Ok(self.payment.wallet.parse()?)
    }

    fn intent(&self) -> Result<Effect, Trouble> {
        let amount: Amount = self.payment.amount.parse()?;
        Ok(Effect::Transfer { asset: self.payment.asset.clone(), to: self.payment.to.clone(), amount })
    }

    fn seed(&self) -> Seed {
        Seed(self.payment.operation_seed)
    }

    async fn transaction(&self, kind: Kind) -> Result<Option<Transaction>, Trouble> {
        Ok(self.app.store.transaction(self.payment.id.clone(), kind).await?)
    }

    /// What the owners are asked to sign to pay.
    async fn own_transaction(&self) -> Result<Transaction, Trouble> {
        let lost = || Trouble::Wait(format!("payment {} lost its transaction; restore the database", self.payment.id));
        self.transaction(Kind::Payment).await?.ok_or_else(lost)
    }

    /// The payment, about to take `stage`.
    fn at(&self, stage: Stage, status: Status) -> Payment {
        Payment { stage, status, trouble: None, not_before: None, ..self.payment.clone() }
    }

    async fn go(&self, stage: Stage, status: Status) -> Result<(), Trouble> {
        Ok(self.app.store.update(self.at(stage, status)).await?)
    }

    /// The payment has ended without being paid, and can't be any more.
    async fn end(&self, status: Status, reason: &str, message: &str) -> Result<(), Trouble> {
        tracing::info!(payment = self.payment.id, status = status.as_str(), reason, why = message, "payment ended");
        let payment = self.at(Stage::Done, status);
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        Ok(self.app.store.update(Payment { reason, message, ..payment }).await?)
    }

    /// The payment will end so, once its nonce is ended. `None`: it will start again.
    async fn end_by_cancel(&self, ending: Option<Status>, reason: &str, message: &str) -> Result<(), Trouble> {
        tracing::warn!(payment = self.payment.id, reason, why = message, "the nonce is ended by the cancel");
        // No time lock is waited for any more.
        let status = Some(self.payment.status).filter(|status| *status != Status::Waiting).unwrap_or(Status::Signing);
        let payment = self.at(Stage::Cancel, status);
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        Ok(self.app.store.update(Payment { ending, reason, message, ..payment }).await?)
    }

    /// Nothing is, or can become, valid under the present nonce: the payment starts again at the next.
    async fn start_again(&self) -> Result<(), Trouble> {
        let payment = Payment {
            operation_seed: Seed::random().0,
            ending: None,
            reason: None,
            message: None,
            cancel_attempts: 0,
            reverts: 0,
            ..self.at(Stage::Prepare, Status::Requested)
        };
        Ok(self.app.store.restart(payment).await?)
    }

    fn amount(&self) -> Result<U256, Trouble> {
        let Amount(amount) = self.payment.amount.parse()?;
        Ok(amount)
    }
}
