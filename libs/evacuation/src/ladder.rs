//! Which transactions of a wallet are signed, so that whoever runs in front of the evacuation only shifts a rung. Pure.
//!
//! A wallet uses its nonces one after the other, so what is at stake at any moment is its live nonce. A ladder has a rung
//! for every asset at every nonce that can become live before the wallet is empty: from the first that is not final, past
//! the highest at which a payment may still be sent, and one more for each asset. At the live nonce the broadcaster plays
//! any asset that has not moved yet; an asset that can't move is passed over and costs the others nothing.

use chain::Amount;

/// Assets in one ladder at most: the rungs grow with their square. A wallet with more is emptied in rounds, one plan after
/// the other.
pub const MAX_ASSETS: usize = 3;
/// Nonces of one ladder at most.
pub const MAX_NONCES: u64 = 64;
/// Payments of one asset at most that a ladder reckons with.
pub const MAX_OUTSTANDING: usize = 8;

/// Why there is no such ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// An asset of which there is nothing.
    #[error("it holds nothing of an asset that is to be moved")]
    Nothing,
    /// No asset, too many, or not each once and in their order.
    #[error("a plan moves one to {MAX_ASSETS} assets of a wallet, each once and in the order of its list")]
    Assets,
    /// Payments out of order, or too many.
    #[error(
        "at most {MAX_OUTSTANDING} outstanding payments of an asset are reckoned with, in the order of their nonces"
    )]
    Outstanding,
    /// A payment that was final when this was planned.
    #[error("an outstanding payment is at a nonce that is used up")]
    Past,
    /// So many signatures that the wallet needs people to look at it.
    #[error("more than {MAX_NONCES} nonces of it can still be live; settle its payments first")]
    Nonces,
}

/// A payment that was signed and may still be sent, or has just been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// At which nonce.
    pub nonce: u64,
    /// How much of the asset leaves with it, in the smallest unit.
    pub amount: Amount,
}

/// What a wallet holds of one asset: never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    asset: usize,
    balance: Amount,
    outstanding: Vec<Outstanding>,
    rebasing: bool,
}

impl Holding {
    /// `asset` is a place in the plan's list. `rebasing`: the balance may become smaller by itself.
    pub fn new(
        asset: usize,
        balance: Amount,
        outstanding: Vec<Outstanding>,
        rebasing: bool,
    ) -> Result<Self, LadderError> {
        if balance.is_zero() {
            return Err(LadderError::Nothing);
        }
        let rising = outstanding.windows(2).all(|pair| pair[0].nonce < pair[1].nonce);
        if !rising || outstanding.len() > MAX_OUTSTANDING || outstanding.iter().any(|it| it.amount.is_zero()) {
            return Err(LadderError::Outstanding);
        }
        Ok(Self { asset, balance, outstanding, rebasing })
    }

    /// Its place in the plan's list of assets.
    pub fn asset(&self) -> usize {
        self.asset
    }

    /// All of it, in the smallest unit.
    pub fn balance(&self) -> Amount {
        self.balance
    }

    /// What may leave before it is moved, by nonce.
    pub fn outstanding(&self) -> &[Outstanding] {
        &self.outstanding
    }

    /// What there may be of it when `nonce` is live: all of it, or what the payments before have left; and a hundredth
    /// less of each where the balance is not certain. The most first, each once, never nothing.
    fn amounts(&self, nonce: u64) -> Vec<Amount> {
        let before = self.outstanding.iter().take_while(|payment| payment.nonce < nonce);
        let left = before.scan(Some(self.balance), |left, payment| {
            *left = left.and_then(|left| left.checked_sub(payment.amount));
            *left
        });
        let exact = std::iter::once(self.balance).chain(left);
        let mut amounts: Vec<Amount> =
            exact.flat_map(|amount| [Some(amount), self.rebasing.then(|| lessened(amount))]).flatten().collect();
        amounts.sort_by(|one, other| other.cmp(one));
        amounts.dedup();
        amounts.retain(|amount| !amount.is_zero());
        amounts
    }
}

/// 99 of a hundred parts, rounded up.
fn lessened(amount: Amount) -> Amount {
    Amount(amount.0 - amount.0 / Amount::from(100).0)
}

/// One transaction: so much of an asset at a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// What it uses up.
    pub nonce: u64,
    /// Place in the plan's list of assets.
    pub asset: usize,
    /// In the smallest unit, more than nothing.
    pub amount: Amount,
}

/// All rungs of one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    first: u64,
    /// The highest nonce that somebody else may use.
    highest: u64,
    holdings: Vec<Holding>,
}

impl Ladder {
    /// `first`: the first nonce that is not final. `highest`: the highest at which anything was signed, as far as signers
    /// that are not suspected know; without their word one payment is reckoned with, at `first`.
    pub fn new(first: u64, highest: Option<u64>, holdings: Vec<Holding>) -> Result<Self, LadderError> {
        if holdings.is_empty() || holdings.len() > MAX_ASSETS {
            return Err(LadderError::Assets);
        }
        if holdings.windows(2).any(|pair| pair[0].asset >= pair[1].asset) {
            return Err(LadderError::Assets);
        }
        if holdings.iter().flat_map(Holding::outstanding).any(|payment| payment.nonce < first) {
            return Err(LadderError::Past);
        }
        // Also where nothing is known to be outstanding: a signer may have forgotten its last payment.
        let paid = holdings.iter().flat_map(Holding::outstanding).map(|payment| payment.nonce).max();
        let highest = first.max(highest.unwrap_or(first)).max(paid.unwrap_or(first));
        let ladder = Self { first, highest, holdings };
        match ladder.last() {
            Some(last) if last - first < MAX_NONCES => Ok(ladder),
            _ => Err(LadderError::Nonces),
        }
    }

    /// The first nonce that was not final.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The highest nonce that somebody else may use.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// What is moved, in the order of the plan's list.
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// By nonce, then in the order of the list, then the largest amount first: the order of the signatures.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        let last = self.last().unwrap_or(self.first);
        (self.first..=last).flat_map(move |nonce| {
            self.holdings.iter().flat_map(move |holding| {
                let asset = holding.asset;
                holding.amounts(nonce).into_iter().map(move |amount| Rung { nonce, asset, amount })
            })
        })
    }

    /// The last nonce of a wallet that somebody ran in front of as far as they could.
    fn last(&self) -> Option<u64> {
        self.highest.checked_add(self.holdings.len() as u64)
    }
}
