//! Amounts, exact and without a unit: the smallest unit is the asset's.

use std::{fmt, str::FromStr};

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::ChainError;

/// Amount in an asset's smallest unit: 256 bits, written as a decimal string without leading zeros.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(pub U256);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum, unless it exceeds 256 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it is below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// 32 bytes, big endian.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// From 32 bytes, big endian.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }
}

impl From<u128> for Amount {
    fn from(value: u128) -> Self {
        Self(U256::from(value))
    }
}

impl FromStr for Amount {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        let refused = || ChainError::Amount(text.to_owned());
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if text.is_empty() || !canonical {
            return Err(refused());
        }
        U256::from_str_radix(text, 10).map(Self).map_err(|_| refused())
    }
}

impl TryFrom<String> for Amount {
    type Error = ChainError;

    fn try_from(text: String) -> Result<Self, ChainError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn the_whole_range_is_accepted_and_no_more() {
        assert_eq!(amount("0"), Amount::ZERO);
        assert_eq!(amount(MAX), Amount(U256::MAX));
        for bad in
            ["", "-1", "+1", "1.0", "0x1", "1_000", " 1", "01", "00", "1e3", "\u{661}", &format!("{}6", &MAX[..77])]
        {
            assert_eq!(bad.parse::<Amount>(), Err(ChainError::Amount(bad.to_owned())));
        }
    }

    #[test]
    fn amounts_compare_as_numbers_and_not_as_text() {
        assert!(amount("9") < amount("10"));
        assert!(amount("18446744073709551616") > amount("18446744073709551615"));
    }

    #[test]
    fn sums_and_differences_never_wrap() {
        assert_eq!(amount("2").checked_add(amount("3")), Some(amount("5")));
        assert_eq!(amount(MAX).checked_add(amount("1")), None);
        assert_eq!(amount("3").checked_sub(amount("2")), Some(amount("1")));
        assert_eq!(amount("2").checked_sub(amount("3")), None);
    }

    #[test]
    fn in_json_an_amount_is_a_string() {
        assert_eq!(serde_json::to_string(&amount("7")).unwrap(), "\"7\"");
        assert!(serde_json::from_str::<Amount>("7").is_err());
    }

    proptest! {
        #[test]
        fn text_round_trips(limbs: [u64; 4]) {
            let value = Amount(U256::from_limbs(limbs));
            prop_assert_eq!(amount(&value.to_string()), value);
            prop_assert_eq!(amount(&serde_json::from_str::<String>(&serde_json::to_string(&value).unwrap()).unwrap()), value);
        }

        #[test]
        fn only_the_printed_form_is_read(text in "[0-9]{1,80}") {
            if let Ok(value) = text.parse::<Amount>() {
                prop_assert_eq!(value.to_string(), text);
            }
        }
    }
}
