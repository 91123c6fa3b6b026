//! What a plan is worth, and how much of it has moved by which block. Pure.

use std::collections::BTreeMap;

use chain::Amount;
use evacuation::stream::{PlanHeader, Price};

/// The assets of a plan. By its prices; without any, each asset counts the same and its amounts by their shares of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(Vec<Valued>);

#[derive(Debug, Clone)]
struct Valued {
    symbol: String,
    contract: Option<String>,
    price: Option<Price>,
    /// All that the plan has of it, smallest unit.
    total: Amount,
}

impl Values {
    pub(super) fn of(header: &PlanHeader) -> Self {
        let assets = header.assets.iter().map(|listed| Valued {
            symbol: listed.asset.symbol.clone(),
            contract: listed.asset.contract.clone(),
            price: listed.price.clone(),
            total: listed.total,
        });
        Self(assets.collect())
    }

    /// So much more of an asset; its place.
    pub(super) fn add(&mut self, symbol: &str, contract: Option<&str>, amount: Amount) -> usize {
        let place = self.0.iter().position(|it| it.symbol == symbol && it.contract.as_deref() == contract);
        let place = place.unwrap_or_else(|| {
            let (symbol, contract) = (symbol.to_owned(), contract.map(str::to_owned));
            self.0.push(Valued { symbol, contract, price: None, total: Amount::ZERO });
            self.0.len() - 1
        });
        let total = &mut self.0[place].total;
        *total = Amount(total.0.saturating_add(amount.0));
        place
    }

    /// The prices that are gone by: none, if what has a price is not in the plan.
    pub(super) fn prices(&self) -> impl Iterator<Item = (&str, &Price)> {
        let priced = self.is_priced();
        self.0.iter().filter_map(|it| Some((it.symbol.as_str(), it.price.as_ref()?))).filter(move |_| priced)
    }

    /// Whether values are in the currency of the prices; otherwise they are percent of all.
    pub(super) fn is_priced(&self) -> bool {
        self.0.iter().any(|it| it.price.as_ref().is_some_and(|price| price.worth(it.total) > 0.0))
    }

    /// About what an amount of an asset is worth.
    pub(super) fn worth(&self, asset: usize, amount: Amount) -> f64 {
        let Some(it) = self.0.get(asset) else { return 0.0 };
        if self.is_priced() {
            return it.price.as_ref().map_or(0.0, |price| price.worth(amount));
        }
        let there = self.0.iter().filter(|it| !it.total.is_zero()).count();
        match it.total.is_zero() {
            true => 0.0,
            false => 100.0 / there as f64 * (f64::from(amount.0) / f64::from(it.total.0)),
        }
    }

    /// What all of it is worth.
    pub(super) fn all(&self) -> f64 {
        (0..self.0.len()).map(|asset| self.worth(asset, self.0[asset].total)).sum()
    }

    /// Percent of all. Less than 100 unless it is `whole`: of a million wallets the last few are lost by rounding.
    pub(super) fn percent(&self, value: f64, whole: bool) -> f64 {
        let all = self.all();
        match whole {
            true => 100.0,
            false if all > 0.0 => ((value / all * 1e6).floor() / 1e4).clamp(0.0, 99.9999),
            false => 0.0,
        }
    }
}

/// How much was moved in which block.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve(BTreeMap<u64, f64>);

impl Curve {
    /// So much more in a block.
    pub(super) fn add(&mut self, block: u64, value: f64) {
        *self.0.entry(block).or_default() += value;
    }

    /// All that has moved.
    pub(super) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// What has moved after so many blocks, the first in which anything did being 1.
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, f64)> {
        let first = self.0.first_key_value().map_or(0, |(first, _)| *first);
        self.0.iter().scan(0.0, move |sum, (block, value)| {
            *sum += value;
            Some((block - first + 1, *sum))
        })
    }

    /// After so many blocks this part of what has moved had. `None`: nothing has.
    pub(super) fn blocks(&self, percent: f64) -> Option<u64> {
        // Sums of fractions are not exact.
        let wanted = self.total() * percent / 100.0 * (1.0 - 1e-9);
        self.points().find(|(_, sum)| *sum >= wanted).map(|(blocks, _)| blocks).filter(|_| percent < 100.0).or_else(
            || {
                let (first, last) = (self.0.keys().next()?, self.0.keys().next_back()?);
                Some(last - first + 1)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(&str, Option<&str>, u128)]) -> Values {
        let valued = |(symbol, price, total): &(&str, Option<&str>, u128)| Valued {
            symbol: (*symbol).to_owned(),
            contract: None,
            price: price.map(|price| Price::new(price, 0).unwrap()),
            total: (*total).into(),
        };
        Values(of.iter().map(valued).collect())
    }

    #[test]
    fn with_prices_an_amount_is_worth_its_price_and_without_its_share_of_the_asset() {
        let priced = values(&[("ETH", Some("3000.5"), 10), ("USD", Some("1"), 1_000), ("JUNK", None, 7)]);
        assert_eq!((priced.worth(0, 2.into()), priced.worth(2, 7.into()), priced.all()), (6_001.0, 0.0, 31_005.0));
        assert_eq!(priced.prices().map(|(symbol, _)| symbol).collect::<Vec<_>>(), ["ETH", "USD"]);
        assert_eq!(priced.percent(15_502.5, false), 50.0);
        let shares = values(&[("ETH", None, 10), ("TOKEN", None, 1_000_000_000), ("NONE", None, 0)]);
        assert_eq!(
            (shares.worth(0, 5.into()), shares.worth(1, 1_000_000_000.into()), shares.all()),
            (25.0, 50.0, 100.0)
        );
        assert!(!shares.is_priced());
        // A price of what nobody holds says nothing of the rest.
        let unheld = values(&[("ETH", None, 10), ("USD", Some("1"), 0)]);
        assert_eq!((unheld.is_priced(), unheld.worth(0, 10.into()), unheld.prices().count()), (false, 100.0, 0));
    }

    #[test]
    fn nothing_rounds_up_to_everything() {
        let values = values(&[("ETH", None, 10_000_000_000)]);
        assert_eq!(values.percent(values.worth(0, 9_999_999_999.into()), false), 99.9999);
        assert_eq!(values.percent(values.all(), true), 100.0);
        assert_eq!(Values::default().percent(0.0, false), 0.0);
    }

    #[test]
    fn the_assets_of_a_bundle_add_up() {
        let mut values = Values::default();
        let places = [("ETH", None), ("USD", Some("0x1")), ("USD", Some("0x2")), ("ETH", None)];
        let places = places.map(|(symbol, contract)| values.add(symbol, contract, 4.into()));
        assert_eq!(places, [0, 1, 2, 0]);
        assert_eq!(values.0[0].total, 8.into());
    }

    #[test]
    fn blocks_are_counted_from_the_first_in_which_anything_moved() {
        let mut curve = Curve::default();
        assert_eq!((curve.blocks(50.0), curve.blocks(100.0)), (None, None));
        for (block, value) in [(1_000, 40.0), (1_001, 20.0), (1_000, 10.0), (1_009, 25.0), (1_499, 5.0)] {
            curve.add(block, value);
        }
        assert_eq!([50.0, 90.0, 99.0, 100.0].map(|percent| curve.blocks(percent)), [1, 10, 500, 500].map(Some));
        assert_eq!(curve.points().collect::<Vec<_>>(), [(1, 50.0), (2, 70.0), (10, 95.0), (500, 100.0)]);
        let mut worthless = Curve::default();
        worthless.add(7, 0.0);
        worthless.add(9, 0.0);
        assert_eq!((worthless.blocks(50.0), worthless.blocks(100.0)), (Some(1), Some(3)));
    }
}
