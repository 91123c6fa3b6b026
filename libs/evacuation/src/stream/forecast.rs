//! What a broadcast would come to: its float, and how long it takes. Pure; the assumptions are the caller's to say.

use chain::{Amount, Capacity};

/// Part of every block that the broadcast is taken to get.
pub const SHARE: f64 = 0.25;
/// Parts of the value, in percent, of which it is told when they have moved.
pub const PARTS: [u32; 4] = [50, 90, 99, 100];

/// One wallet of a plan, in the order of the broadcast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// What moves of it is worth: in the currency of the prices, or in shares of assets.
    pub worth: f64,
    /// Work that it takes (EVM: gas).
    pub work: u64,
}

/// What a broadcast comes to at a price of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Of a unit of work, in the smallest unit of the chain's coin.
    pub price: u128,
    /// Part of all value that moves, percent.
    pub movable: f64,
    /// Wallets that move.
    pub wallets: u64,
    /// Work of all transactions.
    pub work: u64,
    /// What the work costs, in the smallest unit of the chain's coin.
    pub float: Amount,
    /// Hours until each of [`PARTS`] of the value that moves has moved; none where it is not known how fast blocks are.
    pub hours: Option<[f64; 4]>,
}

/// Of `parts`, which move at that price, out of wallets that hold `all` together.
pub fn forecast(parts: &[Part], all: f64, capacity: Option<&Capacity>, price: u128) -> Forecast {
    let (work, worth) =
        parts.iter().fold((0_u64, 0.0), |(work, worth), part| (work.saturating_add(part.work), worth + part.worth));
    let hours = capacity.map(|capacity| {
        let an_hour = SHARE * capacity.work as f64 * 3_600.0 / capacity.every.as_secs_f64().max(f64::MIN_POSITIVE);
        let reached = |percent: u32| {
            // Rounding may leave the last of it out of reach.
            let (goal, mut moved_worth, mut done) = (worth * f64::from(percent) / 100.0, 0.0, 0_u64);
            for part in parts {
                if percent < 100 && moved_worth >= goal {
                    break;
                }
                (moved_worth, done) = (moved_worth + part.worth, done.saturating_add(part.work));
            }
            done as f64 / an_hour
        };
        PARTS.map(reached)
    });
    let movable = if all > 0.0 { 100.0 * worth / all } else { 0.0 };
    let (wallets, float) = (parts.len() as u64, cost(work, price));
    Forecast { price, movable, wallets, work, float, hours }
}

/// Of so much work; the most that there can be, where it is more.
pub(crate) fn cost(work: u64, price: u128) -> Amount {
    let (work, price) = (Amount::from(u128::from(work)).0, Amount::from(price).0);
    Amount(work.saturating_mul(price))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn part(worth: f64) -> Part {
        Part { worth, work: 1_000_000 }
    }

    #[test]
    fn hours_follow_from_a_quarter_of_the_blocks() {
        // A block an hour, of which a million gas is ours.
        let capacity = Capacity { work: 4_000_000, every: Duration::from_secs(3_600), price: 7, decimals: 18 };
        let parts = [part(50.0), part(40.0), part(9.0), part(1.0)];
        let told = forecast(&parts, 200.0, Some(&capacity), 7);
        assert_eq!(told.hours, Some([1.0, 2.0, 3.0, 4.0]));
        assert_eq!((told.movable, told.wallets, told.work), (50.0, 4, 4_000_000));
        assert_eq!(told.float, Amount::from(28_000_000));
    }

    #[test]
    fn nothing_takes_no_time_and_is_no_part_of_anything() {
        let capacity = Capacity { work: 1, every: Duration::from_secs(1), price: 1, decimals: 18 };
        let told = forecast(&[], 0.0, Some(&capacity), u128::MAX);
        assert_eq!((told.movable, told.hours, told.float), (0.0, Some([0.0; 4]), Amount::ZERO));
    }
}
