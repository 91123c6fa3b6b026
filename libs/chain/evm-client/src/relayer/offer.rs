//! What a transaction offers for its gas, and by how much the next one in its place has to be dearer.

use crate::fees::{Fees, Offer};

/// What the chain asks now, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Market {
    /// What a transaction should offer to be mined soon.
    pub(super) offer: Offer,
    /// Below this, the next block takes none.
    pub(super) least: u128,
}

/// How much dearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An eighth: what every node's pool takes for a replacement.
    Least,
    /// A half: the pool has refused less, because what it holds is dearer than what is known here.
    Refused,
}

impl Step {
    fn over(self, price: u128) -> u128 {
        let more = match self {
            Step::Least => price.div_ceil(8),
            Step::Refused => price.div_ceil(2),
        };
        price.saturating_add(more.max(1))
    }
}

impl Market {
    /// The estimate leaves room for the base fee to double, so the base fee is in it. Where there is none, nothing is
    /// known of what a block would not take.
    pub(super) fn new(offer: Offer) -> Self {
        let least = match offer {
            Offer::Eip1559(Fees { max, tip }) => max.saturating_sub(tip) / 2,
            Offer::Legacy { .. } => 0,
        };
        Self { offer, least }
    }

    /// What to offer for a new transaction; `None`: no block would take what is allowed.
    pub(super) fn within(&self, ceiling: u128) -> Option<Offer> {
        (self.least <= ceiling).then(|| self.offer.at_most(ceiling))
    }
}

impl Offer {
    /// The most paid altogether.
    pub(super) fn most(self) -> u128 {
        match self {
            Offer::Eip1559(Fees { max, .. }) => max,
            Offer::Legacy { price } => price,
        }
    }

    fn tip(self) -> u128 {
        match self {
            Offer::Eip1559(Fees { tip, .. }) => tip,
            Offer::Legacy { price } => price,
        }
    }

    fn at_most(self, ceiling: u128) -> Self {
        match self {
            Offer::Eip1559(Fees { max, tip }) => {
                let max = max.min(ceiling);
                Offer::Eip1559(Fees { max, tip: tip.min(max) })
            }
            Offer::Legacy { price } => Offer::Legacy { price: price.min(ceiling) },
        }
    }

    /// What replaces this one: dearer by `step` or more in both parts, as the market asks, within the ceiling. `None`:
    /// the ceiling leaves no room.
    pub(super) fn raised(self, market: &Market, ceiling: u128, step: Step) -> Option<Self> {
        let (least, least_tip) = (step.over(self.most()), step.over(self.tip()));
        if least > ceiling || least_tip > ceiling {
            return None;
        }
        let max = least.max(least_tip).max(market.offer.most()).min(ceiling);
        Some(match self {
            Offer::Eip1559(_) => Offer::Eip1559(Fees { max, tip: least_tip.max(market.offer.tip()).min(max) }),
            Offer::Legacy { .. } => Offer::Legacy { price: max },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(max: u128, tip: u128) -> Offer {
        Offer::Eip1559(Fees { max, tip })
    }

    fn market(max: u128, tip: u128) -> Market {
        Market::new(offer(max, tip))
    }

    #[test]
    fn a_new_transaction_offers_what_is_asked_within_the_ceiling_and_nothing_that_no_block_takes() {
        assert_eq!(market(210, 10).least, 100);
        assert_eq!(market(210, 10).within(500), Some(offer(210, 10)));
        assert_eq!(market(210, 10).within(150), Some(offer(150, 10)));
        assert_eq!(market(210, 10).within(100), Some(offer(100, 10)));
        assert_eq!(market(210, 10).within(99), None);
        assert_eq!(market(30, 20).within(10), Some(offer(10, 10)), "a tip is never more than the whole");
    }

    #[test]
    fn a_replacement_is_dearer_by_an_eighth_in_both_parts_or_as_the_market_asks() {
        let calm = market(10, 1);
        assert_eq!(offer(800, 80).raised(&calm, 10_000, Step::Least), Some(offer(900, 90)));
        assert_eq!(offer(801, 81).raised(&calm, 10_000, Step::Least), Some(offer(902, 92)), "rounded up");
        assert_eq!(offer(1, 0).raised(&calm, 10_000, Step::Least), Some(offer(10, 1)));
        assert_eq!(offer(800, 80).raised(&market(5_000, 200), 10_000, Step::Least), Some(offer(5_000, 200)));
        assert_eq!(offer(800, 80).raised(&calm, 10_000, Step::Refused), Some(offer(1_200, 120)));
        assert_eq!(Offer::Legacy { price: 800 }.raised(&calm, 10_000, Step::Least), Some(Offer::Legacy { price: 900 }));
    }

    #[test]
    fn the_ceiling_is_reached_and_never_passed() {
        assert_eq!(offer(800, 80).raised(&market(5_000, 200), 1_000, Step::Least), Some(offer(1_000, 200)));
        assert_eq!(offer(800, 80).raised(&market(5_000, 200), 900, Step::Least), Some(offer(900, 200)));
        assert_eq!(offer(800, 80).raised(&market(5_000, 200), 899, Step::Least), None);
        assert_eq!(offer(900, 900).raised(&market(1, 1), 1_000, Step::Least), None);
        assert_eq!(
            Offer::Legacy { price: u128::MAX }.raised(&market(1, 1), u128::MAX, Step::Least).map(Offer::most),
            Some(u128::MAX)
        );
    }
}
