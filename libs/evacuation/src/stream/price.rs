//! What an asset was worth when a plan was made. It decides an order, and nothing that is signed.

use chain::Amount;

/// Decimals of any asset at most: 2^256 has 78 digits.
const MOST_DECIMALS: u32 = 77;
/// Longest price, characters.
const LONGEST: usize = 40;

/// The price of a whole unit, in a currency that is the same for all assets of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    whole: String,
    decimals: u32,
}

impl Price {
    /// `whole`: a decimal number such as `3000.5`; `decimals`: a whole unit is 10^decimals smallest units. `None`: one of
    /// them is not that.
    pub fn new(whole: &str, decimals: u32) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = match whole.split_once('.') {
            Some((before, after)) => digits(before) && digits(after),
            None => digits(whole),
        };
        let possible = number && whole.len() <= LONGEST && decimals <= MOST_DECIMALS;
        possible.then(|| Self { whole: whole.to_owned(), decimals })
    }

    /// Of a whole unit, as it was given.
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// A whole unit is 10^decimals smallest units.
    pub fn decimals(&self) -> u32 {
        self.decimals
    }

    /// About what an amount in the smallest unit is worth, in the currency of the price.
    pub fn worth(&self, amount: Amount) -> f64 {
        let exponent = i32::try_from(self.decimals).unwrap_or_default();
        // Digits and a point: a number always.
        let price: f64 = self.whole.parse().unwrap_or_default();
        f64::from(amount.0) / 10f64.powi(exponent) * price
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_a_plain_decimal_number() {
        let eth = Price::new("3000.5", 18).unwrap();
        assert_eq!(eth.worth(Amount::from(2_000_000_000_000_000_000)), 6001.0);
        for wrong in ["", ".", "1.", ".5", "-1", "1e9", "inf", "1,5", "1.2.3", &"1".repeat(41)] {
            assert_eq!(Price::new(wrong, 18), None, "{wrong}");
        }
        assert_eq!(Price::new("1", 78), None);
    }
}
