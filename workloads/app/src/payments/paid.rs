//! The owners' transaction took place in a block that stays: what reached the destination is what the asset itself says.
//! A token may keep a part for itself, or move nothing and call that success.

use chain::{Amount, Place};

use super::{step::Step, trouble::Trouble};
use crate::domain::{Payment, Stage, Status};

/// How a payment ends of which so much reached the destination.
#[derive(Debug, PartialEq, Eq)]
enum Reached {
    All,
    Less(Amount),
    Nothing,
}

fn reached(amount: Amount, moved: Amount) -> Reached {
    match moved {
        moved if moved.is_zero() => Reached::Nothing,
        moved if moved < amount => Reached::Less(moved),
        _ => Reached::All,
    }
}

impl Step<'_> {
    /// The payment took place in the chain's transaction `tx`.
    pub(super) async fn paid(&self, tx: String, place: Place) -> Result<(), Trouble> {
        let order = &self.payment.order;
        let (effect, assets) = (order.effect(), self.app.trust.assets().as_slice());
        let moved = match self.app.trust.assets().get(&order.asset) {
            Some(_) => self.app.client.moved(&self.wallet, &effect, assets, &tx, place.block).await?,
            // Nobody can be asked any more.
            None => order.amount.get(),
        };
        let payment = match reached(order.amount.get(), moved) {
            Reached::All => self.confirmed(&tx, None),
            Reached::Less(moved) => {
                let message = format!("the token let {moved} of {} reach the destination", order.amount);
                let less = self.confirmed(&tx, Some(moved));
                Payment { reason: Some("MovedLess".to_owned()), message: Some(message), ..less }
            }
            Reached::Nothing => {
                let message = format!("transaction {tx} succeeded, and the token moved nothing to the destination");
                self.ended(Status::Failed, "MovedNothing", &message)
            }
        };
        Ok(self.app.store.update(Payment { tx: Some(tx), block: Some(place.block), ..payment }).await?)
    }

    fn confirmed(&self, tx: &str, moved: Option<Amount>) -> Payment {
        tracing::info!(payment = %self.payment.id, tx, "payment confirmed");
        Payment { moved, reason: None, message: None, back: None, ..self.at(Stage::Done, Status::Confirmed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_amount_is_the_whole_amount() {
        let of_ten = |moved: u128| reached(10.into(), moved.into());
        assert_eq!(
            (of_ten(0), of_ten(1), of_ten(9)),
            (Reached::Nothing, Reached::Less(1.into()), Reached::Less(9.into()))
        );
        assert_eq!((of_ten(10), of_ten(11)), (Reached::All, Reached::All));
    }
}
