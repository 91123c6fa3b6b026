//! All that is left to chance, as pure functions of a seed: a run can be had again.

use sha2::{Digest, Sha256};

/// The shape of the balances: at this one a fifth of the wallets hold four fifths of the value.
pub(crate) const ALPHA: f64 = 1.16;
/// Nobody holds more than this many times the least.
const MOST: f64 = 1e7;

/// 32 bytes of the thing called `what` with this number.
pub(crate) fn bytes(seed: u64, what: &str, number: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(number.to_be_bytes());
    hash.update(what);
    hash.finalize().into()
}

/// A number above 0, at most 1, each as likely as any other.
pub(crate) fn unit(seed: u64, what: &str, number: u64) -> f64 {
    let hash = bytes(seed, what, number);
    let first = u64::from_be_bytes(std::array::from_fn(|place| hash[place]));
    // 53 bits: as many as a float holds.
    ((first >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// What the wallet with this number holds (Pareto's distribution), at least `least`.
pub(crate) fn pareto(seed: u64, number: u64, least: f64) -> f64 {
    least * unit(seed, "value", number).powf(-1.0 / ALPHA).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_wallets_hold_most_of_the_value_and_always_the_same_ones() {
        let mut values: Vec<f64> = (0..10_000).map(|number| pareto(7, number, 50.0)).collect();
        assert_eq!(values[3], pareto(7, 3, 50.0));
        assert_ne!(values[3], pareto(8, 3, 50.0));
        assert!(values.iter().all(|value| (50.0..=50.0 * MOST).contains(value)));
        values.sort_by(|one, other| other.total_cmp(one));
        let share = values[..2_000].iter().sum::<f64>() / values.iter().sum::<f64>();
        assert!((0.6..0.95).contains(&share), "{share}");
    }
}
