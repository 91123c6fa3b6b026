//! What the chain has decided about a payment's transaction, whoever sent it, and what follows. Nothing that was signed
//! ends before the block that decides it stays.

use chain::{Claim, Fate, Look, Place};

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status, Transaction};

/// So many of the newest blocks are looked through for a payment that a reorganisation has moved.
const NEWEST: u64 = 1_000;

/// How the chain stands to a payment's transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its claims can be used now.
    Open,
    /// The wallet has to use this claim first.
    Early(Claim),
    /// Its claims are used, and the node does not tell by what.
    Untold,
    /// A block has decided.
    Decided(Decision),
}

/// What a block says of a payment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) place: Place,
    /// The chain transaction in which the payment's own took place.
    tx: Option<String>,
    ending: Ending,
}

/// How the payment ends, if the block stays.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Paid,
    NotPaid {
        status: Status,
        reason: String,
        message: String,
    },
    /// It starts again with other claims.
    Again,
}

/// What follows from a fate of the payment's transaction, which uses up `claimed`.
fn judge(payment: &Payment, claimed: &str, fate: Fate) -> Standing {
    match fate {
        Fate::Open => Standing::Open,
        Fate::Early(claim) => Standing::Early(claim),
        Fate::Untold => Standing::Untold,
        Fate::Done { tx, success: true, place } => {
            Standing::Decided(Decision { place, tx: Some(tx), ending: Ending::Paid })
        }
        Fate::Done { tx, success: false, place } => {
            let message = format!("transaction {tx} used {claimed} and moved nothing");
            let ending = not_paid(Status::Failed, "ExecutionFailed", &message);
            Standing::Decided(Decision { place, tx: Some(tx), ending })
        }
        Fate::Superseded { place } => {
            Standing::Decided(Decision { place, tx: None, ending: otherwise(payment, claimed) })
        }
    }
}

/// Another transaction used the claims, so this payment can't execute any more.
fn otherwise(payment: &Payment, claimed: &str) -> Ending {
    let Payment { ending, reason, message, .. } = payment;
    match ending {
        Some(status) => {
            not_paid(*status, reason.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default())
        }
        None if goes_on_at(payment) == Stage::Cancel => Ending::Again,
        None => {
            let message = format!(
                "{claimed} was used by another transaction of this wallet; ask again if it is still to be paid"
            );
            not_paid(Status::Cancelled, "NonceUsed", &message)
        }
    }
}

fn not_paid(status: Status, reason: &str, message: &str) -> Ending {
    Ending::NotPaid { status, reason: reason.to_owned(), message: message.to_owned() }
}

/// The stage that the payment left to be followed; the one it is in, if it is not followed.
fn goes_on_at(payment: &Payment) -> Stage {
    payment.back.unwrap_or(payment.stage)
}

impl Step<'_> {
    /// Whether the claims of `transaction` are used up; if so, the payment is brought to what follows from it.
    pub(super) async fn settled(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        match self.standing(transaction).await? {
            Standing::Open | Standing::Early(_) => Ok(false),
            Standing::Untold => Err(Trouble::Untold { claimed: transaction.claimed() }),
            Standing::Decided(decision) => self.decided(decision).await.map(|_| true),
        }
    }

    /// The same, before something is sent: refuses to go on where the wallet has to use another claim first.
    pub(super) async fn settled_or_next(&self, transaction: &Transaction) -> Result<bool, Trouble> {
        match self.standing(transaction).await? {
            Standing::Open => Ok(false),
            Standing::Early(first) => Err(Trouble::Early { first }),
            Standing::Untold => Err(Trouble::Untold { claimed: transaction.claimed() }),
            Standing::Decided(decision) => self.decided(decision).await.map(|_| true),
        }
    }

    /// The relayer's transaction `tx` is in a block: so must be what it carried.
    pub(super) async fn landed(&self, transaction: &Transaction, tx: String) -> Result<(), Trouble> {
        if self.settled(transaction).await? { Ok(()) } else { Err(Trouble::Unseen { tx }) }
    }

    /// What the chain says of the transaction.
    pub(super) async fn standing(&self, transaction: &Transaction) -> Result<Standing, Trouble> {
        let Transaction { id, claims, from_block, .. } = transaction;
        let look = |look| self.app.client.fate(&self.wallet, id, claims, look);
        let fate = match look(Look::Since(*from_block)).await? {
            // After a reorganisation it may stand before the block at which its claims were free.
            Fate::Untold => match look(Look::Newest(NEWEST)).await? {
                done @ Fate::Done { .. } => done,
                // That it is not among them decides nothing.
                _ => Fate::Untold,
            },
            fate => fate,
        };
        Ok(judge(&self.payment, &transaction.claimed(), fate))
    }

    /// Ends the payment if the block stays, and else follows it. Whether it has a step to take after that.
    pub(super) async fn decided(&self, decision: Decision) -> Result<bool, Trouble> {
        if !decision.place.settled {
            return self.included(decision).await.map(|()| false);
        }
        let Decision { place, tx, ending } = decision;
        match ending {
            Ending::Again => return self.start_again().await.map(|()| true),
            Ending::Paid => self.paid(tx.unwrap_or_default(), place).await?,
            Ending::NotPaid { status, reason, message } => {
                let payment = Payment { tx, block: Some(place.block), ..self.ended(status, &reason, &message) };
                self.app.store.update(payment).await?;
            }
        }
        Ok(false)
    }

    /// The block may still vanish. The wallet's next payment goes on meanwhile.
    async fn included(&self, Decision { place, tx, ending }: Decision) -> Result<(), Trouble> {
        let status = match (&tx, self.payment.status) {
            (Some(_), _) => Status::Included,
            // No time lock is waited for any more.
            (None, Status::Waiting) => Status::Checked,
            (None, status) => status,
        };
        let (reason, message) = match ending {
            Ending::Paid => (None, None),
            Ending::NotPaid { reason, message, .. } => (Some(reason), Some(message)),
            Ending::Again => (self.payment.reason.clone(), self.payment.message.clone()),
        };
        let (block, back) = (Some(place.block), Some(goes_on_at(&self.payment)));
        let payment = Payment { tx, block, back, reason, message, ..self.at(Stage::Follow, status) };
        if payment != self.payment {
            tracing::info!(payment = %payment.id, tx = payment.tx, block = place.block, "payment in a block");
            self.app.store.update(payment).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Order, Seed};

    fn payment(stage: Stage) -> Payment {
        let rules = chain_adapters::Adapters::all().rules(&"eip155:1".parse().unwrap()).unwrap();
        let to = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
        let order = Order {
            wallet: "alice".parse().unwrap(),
            to: crate::domain::Address::parse(to, &*rules).unwrap(),
            to_wallet: None,
            asset: "ETH".parse().unwrap(),
            amount: "7".parse().unwrap(),
            intent: None,
        };
        Payment {
            id: "00000000000000000000000000000001".parse().unwrap(),
            order,
            status: Status::Broadcast,
            stage,
            not_before: None,
            reason: None,
            message: None,
            trouble: None,
            tx: None,
            block: None,
            moved: None,
            seed: Seed([0; 16]),
            ending: None,
            cancel_attempts: 0,
            back: None,
            reverts: 0,
        }
    }

    fn ending(payment: &Payment, fate: Fate) -> (Option<Status>, Option<String>) {
        match judge(payment, "nonce 4", fate) {
            Standing::Decided(Decision { ending: Ending::NotPaid { status, reason, .. }, .. }) => {
                (Some(status), Some(reason))
            }
            Standing::Decided(Decision { ending: Ending::Paid, .. }) => (Some(Status::Confirmed), None),
            _ => (None, None),
        }
    }

    #[test]
    fn what_used_the_claims_decides_and_not_what_was_expected() {
        let place = Place { block: 5, depth: 0, settled: false };
        let done = |success| Fate::Done { tx: "0x1".to_owned(), success, place };
        let superseded = || Fate::Superseded { place };
        let cancelling =
            Payment { ending: Some(Status::Refused), reason: Some("OverWindow".to_owned()), ..payment(Stage::Cancel) };
        let followed = Payment { back: Some(Stage::Cancel), stage: Stage::Follow, ..cancelling.clone() };
        for (payment, fate, expected) in [
            (payment(Stage::Send), done(true), (Some(Status::Confirmed), None)),
            (payment(Stage::Send), done(false), (Some(Status::Failed), Some("ExecutionFailed"))),
            (payment(Stage::Send), superseded(), (Some(Status::Cancelled), Some("NonceUsed"))),
            (payment(Stage::Sign), superseded(), (Some(Status::Cancelled), Some("NonceUsed"))),
            (cancelling.clone(), superseded(), (Some(Status::Refused), Some("OverWindow"))),
            (followed, superseded(), (Some(Status::Refused), Some("OverWindow"))),
            // The payment was faster than its cancel.
            (cancelling, done(true), (Some(Status::Confirmed), None)),
        ] {
            let (status, reason) = expected;
            assert_eq!(ending(&payment, fate), (status, reason.map(str::to_owned)), "{payment:?}");
        }
        for payment in [payment(Stage::Cancel), Payment { back: Some(Stage::Cancel), ..payment(Stage::Follow) }] {
            let again = Decision { place, tx: None, ending: Ending::Again };
            assert_eq!(judge(&payment, "nonce 4", superseded()), Standing::Decided(again));
        }
    }
}
