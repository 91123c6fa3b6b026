//! What moves of a wallet, what it is worth and what that takes: the order of a plan.

use std::collections::BTreeMap;

use chain::{Amount, Asset, Work};

use super::{Price, forecast::cost};
use crate::{LadderError, MAX_ASSETS};

/// Why an asset of a wallet is not in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The wallet has more assets than one ladder moves; the next plan moves this one.
    NextPlan,
    /// It is worth less than was asked for.
    BelowLeastValue,
    /// Moving it costs more than it is worth.
    BelowCost,
    /// Something else is at the wallet's address, or its owners have changed.
    Foreign,
    /// There is no such ladder.
    Ladder(LadderError),
}

impl Why {
    /// One word for machines; a ladder's own words.
    pub fn reason(&self) -> String {
        match self {
            Self::NextPlan => "nextPlan".to_owned(),
            Self::BelowLeastValue => "belowLeastValue".to_owned(),
            Self::BelowCost => "belowCost".to_owned(),
            Self::Foreign => "foreign".to_owned(),
            Self::Ladder(error) => error.to_string(),
        }
    }
}

/// What amounts are worth beside each other, and what moving them takes.
#[derive(Clone)]
pub(crate) struct Scale<'a> {
    assets: &'a [Asset],
    /// By place in the list; none where no asset has one.
    prices: Vec<Option<&'a Price>>,
    /// All that there is of each asset.
    totals: Vec<Amount>,
    coin: Option<&'a Price>,
    work: Option<Work>,
    /// Of a unit of work.
    price: Option<u128>,
    least: Option<f64>,
}

/// What a plan moves of a wallet.
#[derive(Debug, PartialEq)]
pub(crate) struct Choice {
    /// In the order of the list.
    pub(crate) moved: Vec<(usize, Amount)>,
    pub(crate) left: Vec<(usize, Amount, Why)>,
    /// Of what moves.
    pub(crate) worth: f64,
    pub(crate) work: u64,
}

impl<'a> Scale<'a> {
    pub(crate) fn new(
        assets: &'a [Asset],
        prices: &'a BTreeMap<String, Price>,
        totals: Vec<Amount>,
        work: Option<Work>,
        price: Option<u128>,
        least: Option<f64>,
    ) -> Self {
        let of = |asset: &Asset| prices.get(&asset.symbol);
        let coin = assets.iter().find(|asset| asset.contract.is_none()).and_then(of);
        Self { assets, prices: assets.iter().map(of).collect(), totals, coin, work, price, least }
    }

    /// In the currency of the prices; without any, as a share of all that there is of the asset.
    pub(crate) fn worth(&self, asset: usize, amount: Amount) -> f64 {
        match self.prices[asset] {
            Some(price) => price.worth(amount),
            None if self.prices.iter().all(Option::is_none) => f64::from(amount.0) / f64::from(self.totals[asset].0),
            None => 0.0,
        }
    }

    /// The same where a unit of work costs so much.
    pub(crate) fn at(&self, price: u128) -> Self {
        Self { price: Some(price), ..self.clone() }
    }

    /// What moves of these balances, of a wallet that is there or not and has made transactions or none.
    pub(crate) fn choose(&self, balances: impl Iterator<Item = (usize, Amount)>, created: bool, live: u64) -> Choice {
        let mut left = Vec::new();
        let mut moved: Vec<(usize, Amount)> = Vec::new();
        for (asset, amount) in balances {
            match self.too_little(asset, amount) {
                Some(why) => left.push((asset, amount, why)),
                None => moved.push((asset, amount)),
            }
        }
        moved.sort_by(|one, other| self.worth(other.0, other.1).total_cmp(&self.worth(one.0, one.1)));
        let later = moved.split_off(moved.len().min(MAX_ASSETS));
        left.extend(later.into_iter().map(|(asset, amount)| (asset, amount, Why::NextPlan)));
        moved.sort_by_key(|(asset, _)| *asset);
        let priced = moved.iter().all(|(asset, _)| self.prices[*asset].is_some());
        let worth = moved.iter().map(|(asset, amount)| self.worth(*asset, *amount)).sum();
        let work = self.work_of(&moved, created, live);
        if priced && self.costs(work).is_some_and(|cost| worth < cost) {
            left.extend(moved.drain(..).map(|(asset, amount)| (asset, amount, Why::BelowCost)));
            return Choice { moved, left, worth: 0.0, work: 0 };
        }
        Choice { moved, left, worth, work }
    }

    /// An asset by itself: what has no price is never too little.
    fn too_little(&self, asset: usize, amount: Amount) -> Option<Why> {
        let worth = self.prices[asset]?.worth(amount);
        if self.least.is_some_and(|least| worth < least) {
            return Some(Why::BelowLeastValue);
        }
        self.costs(self.execution(asset)).is_some_and(|cost| worth < cost).then_some(Why::BelowCost)
    }

    fn execution(&self, asset: usize) -> u64 {
        let of = |work: Work| if self.assets[asset].contract.is_none() { work.coin } else { work.token };
        self.work.map(of).unwrap_or_default()
    }

    fn work_of(&self, moved: &[(usize, Amount)], created: bool, live: u64) -> u64 {
        let Some(work) = self.work else { return 0 };
        let executions: u64 = moved.iter().map(|(asset, _)| self.execution(*asset)).sum();
        let creation = if created { 0 } else { work.creation };
        let first = if live == 0 { work.first } else { 0 };
        executions + creation + first
    }

    /// In the currency of the prices, where the chain's own coin has one.
    fn costs(&self, work: u64) -> Option<f64> {
        Some(self.coin?.worth(cost(work, self.price?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work = Work { creation: 263_000, first: 17_000, coin: 45_000, token: 43_000 };

    fn assets() -> Vec<Asset> {
        let asset = |symbol: &str, contract: Option<&str>| Asset {
            symbol: symbol.to_owned(),
            contract: contract.map(str::to_owned),
        };
        vec![asset("ETH", None), asset("USD", Some("0x01")), asset("NEW", Some("0x02"))]
    }

    fn prices() -> BTreeMap<String, Price> {
        let price = |symbol: &str, whole: &str, decimals| (symbol.to_owned(), Price::new(whole, decimals).unwrap());
        [price("ETH", "2000", 9), price("USD", "1", 0)].into()
    }

    fn choose(least: Option<f64>, held: &[(usize, u128)], created: bool) -> Choice {
        let (assets, prices) = (assets(), prices());
        // 100 gwei-sized units for a gas: 45,000 gas are 9 dollars, a creation 52.6.
        let scale = Scale::new(&assets, &prices, vec![Amount::ZERO; 3], Some(WORK), Some(100), least);
        scale.choose(held.iter().map(|(asset, units)| (*asset, Amount::from(*units))), created, u64::from(created))
    }

    fn whys(choice: &Choice) -> Vec<(usize, Why)> {
        choice.left.iter().map(|(asset, _, why)| (*asset, *why)).collect()
    }

    #[test]
    fn what_costs_more_than_it_holds_stays_alone_and_with_its_wallet() {
        assert_eq!(whys(&choose(None, &[(1, 8)], true)), [(1, Why::BelowCost)]);
        let there = choose(None, &[(1, 20)], true);
        assert_eq!((there.moved.len(), there.worth, there.work), (1, 20.0, 43_000));
        let absent = choose(None, &[(1, 20)], false);
        assert_eq!((whys(&absent), absent.moved.len()), (vec![(1, Why::BelowCost)], 0));
        let rich = choose(None, &[(1, 200)], false);
        assert_eq!((rich.moved.len(), rich.work), (1, 43_000 + 263_000 + 17_000));
    }

    #[test]
    fn at_a_dearer_price_an_asset_stays_where_the_wallet_s_others_still_move() {
        let (assets, prices) = (assets(), prices());
        let scale = Scale::new(&assets, &prices, vec![Amount::ZERO; 3], Some(WORK), Some(100), None);
        // 43,000 gas of a token are 8.6 dollars, and 86 at ten times the price.
        let held = || [(0, Amount::from(1_000_000_000)), (1, Amount::from(20))].into_iter();
        let now = scale.choose(held(), true, 1);
        assert_eq!((now.moved.len(), now.worth, now.work), (2, 2_020.0, 88_000));
        let dearer = scale.at(1_000).choose(held(), true, 1);
        assert_eq!((whys(&dearer), dearer.worth, dearer.work), (vec![(1, Why::BelowCost)], 2_000.0, 45_000));
        assert_eq!(scale.at(100_000).choose(held(), true, 1).moved, []);
    }

    #[test]
    fn what_is_asked_for_bounds_what_has_a_price_and_nothing_else() {
        let choice = choose(Some(50.0), &[(1, 49), (2, 1)], true);
        assert_eq!((whys(&choice), choice.moved), (vec![(1, Why::BelowLeastValue)], vec![(2, Amount::from(1))]));
        assert!(choose(Some(49.0), &[(1, 49)], true).left.is_empty());
    }

    #[test]
    fn without_prices_shares_are_compared_and_nothing_is_too_little() {
        let (assets, none) = (assets(), BTreeMap::new());
        let totals = [100, 1_000, 10].map(Amount::from).to_vec();
        let scale = Scale::new(&assets, &none, totals, Some(WORK), Some(u128::MAX), None);
        let choice = scale.choose([(0, Amount::from(50)), (1, Amount::from(100))].into_iter(), true, 3);
        assert_eq!((choice.moved.len(), choice.left.len(), choice.work), (2, 0, 88_000));
        assert!((choice.worth - 0.6).abs() < 1e-9, "{}", choice.worth);
    }
}
