//! Hot, then cool, each verified before it is believed.

use chain::KeyRole;
use custody::Role;
use protocol::ops::Attestation;

use super::{step::Step, trouble::Trouble};
use crate::{
    domain::{Payment, Seed, Stage, Status, Transaction},
    signers::{Consent, Given, Refused},
};

/// Why a signature is missing.
pub(super) enum Unsigned {
    /// Keeper refuses: there is no signature at all.
    ByKeeper(Refused),
    /// Cooler refuses: hot's signature is out.
    ByCooler(Refused),
    /// One of them says later.
    Later,
}

impl Step<'_> {
    pub(super) async fn sign(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        if self.settled(&transaction).await? {
            return Ok(());
        }
        match self.signed(transaction, "sign", self.at(Stage::Send, Status::Signed)).await? {
            Ok(_) => Ok(()),
            Err(Unsigned::ByKeeper(refused) | Unsigned::ByCooler(refused)) if refused.nonce_is_taken() => {
                self.end_by_cancel(None, &refused.reason, &refused.to_string()).await
            }
            Err(Unsigned::ByKeeper(refused)) if refused.nonce_is_not_next() => {
                self.start_again().await?;
                Err(Trouble::NotNext { refused })
            }
            // Nobody has a signature. Should Keeper have made one all the same, the next check of these claims shows.
            Err(Unsigned::ByKeeper(refused)) => self.end(Status::Refused, &refused.reason, &refused.to_string()).await,
            Err(Unsigned::ByCooler(refused)) if refused.nonce_is_not_next() => self.ask_cooler_anew(refused).await,
            Err(Unsigned::ByCooler(refused)) => {
                self.end_by_cancel(Some(Status::Refused), &refused.reason, &refused.to_string()).await
            }
            Err(Unsigned::Later) => self.hold().await,
        }
    }

    /// Hot has signed, and Cooler's refusal is final for its operation: once Cooler takes the claims as the next, it is
    /// asked under another.
    async fn ask_cooler_anew(&self, refused: Refused) -> Result<(), Trouble> {
        let payment = Payment { seed: Seed::random(), ..self.at(Stage::Wait, Status::Checked) };
        self.app.store.update(payment).await?;
        Err(Trouble::NotNext { refused })
    }

    /// The transaction with both signatures, each stored as soon as it is there; with the second, the payment is `then`.
    /// `label` names the operations.
    pub(super) async fn signed(
        &self,
        mut transaction: Transaction,
        label: &str,
        then: Payment,
    ) -> Result<Result<Transaction, Unsigned>, Trouble> {
        let mut head = None;
        if transaction.hot.is_none() {
            match self.signatures(Role::Keeper, &transaction, None, label).await? {
                Ok(Consent::Given(given)) => (transaction.hot, head) = (Some(given.signatures), given.head),
                Ok(Consent::Later(_)) => return Ok(Err(Unsigned::Later)),
                Err(refused) => return Ok(Err(Unsigned::ByKeeper(refused))),
            }
            self.app.store.record(self.payment.clone(), transaction.clone()).await?;
        } else if transaction.cool.is_none() {
            head = self.keeper_head(&transaction, label).await?;
        }
        if transaction.cool.is_none() {
            match self.signatures(Role::Cooler, &transaction, head, label).await? {
                Ok(Consent::Given(given)) => transaction.cool = Some(given.signatures),
                Ok(Consent::Later(_)) => return Ok(Err(Unsigned::Later)),
                Err(refused) => return Ok(Err(Unsigned::ByCooler(refused))),
            }
            self.app.store.record(then, transaction.clone()).await?;
        } else if then != self.payment {
            self.app.store.update(then).await?;
        }
        Ok(Ok(transaction))
    }

    /// Keeper's present head, from its stored answer: since it signed it may have started anew, and Cooler takes hot's
    /// signatures only with a head of its present start. Without one, Cooler says what is missing.
    async fn keeper_head(&self, signed: &Transaction, label: &str) -> Result<Option<Attestation>, Trouble> {
        Ok(match self.signatures(Role::Keeper, signed, None, label).await? {
            Ok(Consent::Given(given)) => given.head,
            Ok(Consent::Later(_)) | Err(_) => None,
        })
    }

    async fn signatures(
        &self,
        signer: Role,
        transaction: &Transaction,
        head: Option<Attestation>,
        label: &str,
    ) -> Result<Result<Consent<Given>, Refused>, Trouble> {
        let ask = self.ask(label, signer, transaction);
        let (owner, hot) = match signer {
            Role::Cooler => (KeyRole::Cool, Given { signatures: transaction.hot.clone().unwrap_or_default(), head }),
            _ => (KeyRole::Hot, Given::default()),
        };
        match self.app.signers.sign(signer, ask, hot, &transaction.id).await {
            Ok(Consent::Given(given)) => {
                let rules = self.app.trust.rules();
                if rules.signed_by(&transaction.unsigned, &self.wallet, owner, &given.signatures).unwrap_or_default() {
                    return Ok(Ok(Consent::Given(given)));
                }
                let message = format!("its signatures do not fit this transaction and this wallet's {owner} key");
                Ok(Err(Refused { signer, reason: "WrongSignature".to_owned(), message }))
            }
            Ok(later) => Ok(Ok(later)),
            Err(denial) => Ok(Err(denial.refusal()?)),
        }
    }
}
