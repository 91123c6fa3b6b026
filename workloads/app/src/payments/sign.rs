//! Hot, then cool, each verified before it is believed.

use chain::ChainRules;
use custody::{KeyRole, Role};

use super::{Step, Trouble};
use crate::{
    signers::{Ask, Refused},
    store::{Stage, Status, Transaction},
};

/// Who refused.
pub(super) enum Unsigned {
    /// Keeper: there is no signature at all.
    ByKeeper(Refused),
    /// Cooler: hot's signature is out.
    ByCooler(Refused),
}

impl Step<'_> {
    pub(super) async fn sign(&self) -> Result<(), Trouble> {
        let transaction = self.own_transaction().await?;
        if self.settled(&transaction).await? {
            return Ok(());
        }
        match self.signed(transaction, "sign").await? {
            Ok(_) => self.go(Stage::Send, Status::Signing).await,
            Err(Unsigned::ByKeeper(refused) | Unsigned::ByCooler(refused)) if refused.nonce_is_taken() => {
                self.end_by_cancel(None, &refused.reason, &refused.to_string()).await
            }
            // Nobody has a signature. Should Keeper have made one all the same, the next check at this nonce shows it.
            Err(Unsigned::ByKeeper(refused)) => self.end(Status::Refused, &refused.reason, &refused.to_string()).await,
            Err(Unsigned::ByCooler(refused)) => {
                self.end_by_cancel(Some(Status::Refused), &refused.reason, &refused.to_string()).await
            }
        }
    }

    /// The transaction with both signatures, each stored as soon as it is there. `label` names the operations.
    pub(super) async fn signed(
        &self,
        mut transaction: Transaction,
        label: &str,
    ) -> Result<Result<Transaction, Unsigned>, Trouble> {
        if transaction.hot_signature.is_none() {
            match self.signature(Role::Keeper, &transaction, label).await? {
                Ok(signature) => transaction.hot_signature = Some(signature),
                Err(refused) => return Ok(Err(Unsigned::ByKeeper(refused))),
            }
            self.app.store.record(self.payment.clone(), transaction.clone()).await?;
        }
        if transaction.cool_signature.is_none() {
            match self.signature(Role::Cooler, &transaction, label).await? {
                Ok(signature) => transaction.cool_signature = Some(signature),
                Err(refused) => return Ok(Err(Unsigned::ByCooler(refused))),
            }
            self.app.store.record(self.payment.clone(), transaction.clone()).await?;
        }
        Ok(Ok(transaction))
    }

    async fn signature(
        &self,
        signer: Role,
        transaction: &Transaction,
        label: &str,
    ) -> Result<Result<Vec<u8>, Refused>, Trouble> {
        let ask = Ask {
            operation: self.seed().operation(&format!("{label}-{signer}")),
            wallet: self.wallet_id()?,
            chain: self.app.chain.id.clone(),
            unsigned: transaction.unsigned.clone(),
        };
        let hot = if signer == Role::Cooler { transaction.hot_signature.clone() } else { None };
        match self.app.signers.sign(signer, ask, hot.unwrap_or_default(), &transaction.digest).await {
            Ok(signature) => {
                let owner = if signer == Role::Keeper { KeyRole::Hot } else { KeyRole::Cool };
                if self.app.trust.rules().verify(self.wallet.owners.key(owner), &transaction.digest, &signature) {
                    return Ok(Ok(signature));
                }
                let message = format!("its signature is not by this wallet's {owner} key");
                Ok(Err(Refused { signer, reason: "WrongSignature".to_owned(), message }))
            }
            Err(denial) => Ok(Err(denial.refusal()?)),
        }
    }
}
