//! What both signers say of a payment's transaction before they are asked to sign it, and what follows from a refusal.

use custody::Role;
use jiff::Timestamp;

use super::{step::Step, trouble::Trouble};
use crate::{
    domain::{Kind, Status, Transaction},
    signers::{Ask, Consent, Refused},
};

/// Neither of them leaves a signature.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// Would it be signed now?
    Check,
    /// The same, and its time lock begins.
    Announce,
}

/// What both say together.
pub(super) enum Verdict {
    Allowed,
    /// The later of the two times.
    Later(Timestamp),
    /// The first refusal.
    Refused(Refused),
}

impl Step<'_> {
    pub(super) async fn asked_both(&self, question: Question, about: &Transaction) -> Result<Verdict, Trouble> {
        let ask = |signer| self.asked(signer, question, about);
        let (keeper, cooler) = tokio::join!(ask(Role::Keeper), ask(Role::Cooler));
        Ok(match (keeper?, cooler?) {
            (Err(refused), _) | (_, Err(refused)) => Verdict::Refused(refused),
            (Ok(Consent::Given(())), Ok(Consent::Given(()))) => Verdict::Allowed,
            (Ok(Consent::Later(one)), Ok(Consent::Later(other))) => Verdict::Later(one.max(other)),
            (Ok(Consent::Later(time)), Ok(_)) | (Ok(_), Ok(Consent::Later(time))) => Verdict::Later(time),
        })
    }

    async fn asked(
        &self,
        signer: Role,
        question: Question,
        about: &Transaction,
    ) -> Result<Result<Consent<()>, Refused>, Trouble> {
        let signers = &self.app.signers;
        let answer = match question {
            Question::Check => signers.check(signer, self.ask("check", signer, about), &about.id).await,
            Question::Announce => signers.announce(signer, self.ask("announce", signer, about), &about.id).await,
        };
        match answer {
            Ok(consent) => Ok(Ok(consent)),
            Err(denial) => Ok(Err(denial.refusal()?)),
        }
    }

    /// `label` and the signer name the operation.
    pub(super) fn ask(&self, label: &str, signer: Role, about: &Transaction) -> Ask<'_> {
        let order = &self.payment.order;
        Ask {
            operation: self.payment.seed.operation(&format!("{label}-{signer}")),
            wallet: &order.wallet,
            chain: self.app.trust.rules().id(),
            unsigned: about.unsigned.clone(),
            payment: self.payment.id.for_signers().filter(|_| about.kind == Kind::Payment),
            // An intent is to pay, and so is a wallet to be paid: a cancel with one is refused.
            intent: order.intent.clone().filter(|_| about.kind == Kind::Payment),
            to_wallet: order.to_wallet.as_ref().filter(|_| about.kind == Kind::Payment),
            client_key: self.client_key.as_ref(),
        }
    }

    /// The payment is refused before it is asked for: it ends, unless its claims alone are the reason.
    pub(super) async fn refused(&self, about: &Transaction, refused: Refused) -> Result<(), Trouble> {
        let (reason, message) = (&refused.reason, refused.to_string());
        if refused.nonce_is_taken() {
            self.end_by_cancel(None, reason, &message).await
        } else if refused.nonce_is_not_next() {
            Err(Trouble::NotNext { refused })
        } else if about.hot.is_some() {
            self.end_by_cancel(Some(Status::Refused), reason, &message).await
        } else {
            self.end(Status::Refused, reason, &message).await
        }
    }
}
