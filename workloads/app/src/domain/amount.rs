//! How much a payment moves.

use std::{fmt, str::FromStr};

use chain::{Amount, ChainError};

/// What a payment moves, in the asset's smallest unit: never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaymentAmount(Amount);

/// Why a text is not what a payment can move.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidAmount {
    #[error(transparent)]
    Malformed(#[from] ChainError),
    #[error("the amount is zero")]
    Zero,
}

impl PaymentAmount {
    /// As a number.
    pub(crate) fn get(self) -> Amount {
        self.0
    }
}

impl FromStr for PaymentAmount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let amount: Amount = text.parse()?;
        if amount.is_zero() { Err(InvalidAmount::Zero) } else { Ok(Self(amount)) }
    }
}

impl fmt::Display for PaymentAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_payment() {
        assert_eq!("0".parse::<PaymentAmount>(), Err(InvalidAmount::Zero));
        assert_eq!("7".parse::<PaymentAmount>().unwrap().to_string(), "7");
        assert!(matches!("-7".parse::<PaymentAmount>(), Err(InvalidAmount::Malformed(ChainError::Amount(_)))));
    }
}
