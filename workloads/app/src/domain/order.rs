//! What somebody asks App to pay, and by which names the payment is known.

use std::{fmt, str::FromStr};

use chain::Effect;
use custody::WalletId;
use data_encoding::HEXLOWER;
use protocol::ops::Attestation;
use rand_core::{OsRng, RngCore};

use super::{address::Address, amount::PaymentAmount, asset::Symbol};

/// Longest idempotency key, characters.
const LONGEST_KEY: usize = 128;

/// What is to be paid, from where to whom. Two orders under one idempotency key must be equal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) wallet: WalletId,
    pub(crate) to: Address,
    /// The wallet of this custody that was named in the place of an address; `to` is its address.
    pub(crate) to_wallet: Option<WalletId>,
    pub(crate) asset: Symbol,
    pub(crate) amount: PaymentAmount,
    /// Somebody else's signed intent, handed on to the signers as it came.
    pub(crate) intent: Option<Attestation>,
}

impl Order {
    /// What its transaction must do.
    pub(crate) fn effect(&self) -> Effect {
        let (asset, to) = (self.asset.to_string(), self.to.to_string());
        Effect::Transfer { asset, to, amount: self.amount.get() }
    }
}

/// App's name of a payment: 16 random bytes, shown as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaymentId([u8; 16]);

/// Not the form of a payment id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a payment id; expected 32 lower-case hex digits")]
pub(crate) struct InvalidPaymentId(String);

impl PaymentId {
    /// From the operating system.
    pub(crate) fn random() -> Self {
        let mut id = [0; 16];
        OsRng.fill_bytes(&mut id);
        Self(id)
    }
}

impl FromStr for PaymentId {
    type Err = InvalidPaymentId;

    fn from_str(text: &str) -> Result<Self, InvalidPaymentId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| InvalidPaymentId(text.to_owned()))
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The caller's own name of a payment, the same in every retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

/// Not the form of an idempotency key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to {LONGEST_KEY} visible ASCII characters")]
pub(crate) struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The key.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let known = (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if known { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_id_is_read_as_it_is_shown() {
        let id = PaymentId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let upper = "AB".repeat(16);
        for bad in ["", "a", "bob", upper.as_str(), &"00".repeat(17)] {
            assert_eq!(bad.parse::<PaymentId>(), Err(InvalidPaymentId(bad.to_owned())));
        }
    }

    #[test]
    fn an_idempotency_key_is_short_and_visible() {
        assert_eq!("order-7/2".parse::<IdempotencyKey>().unwrap().as_str(), "order-7/2");
        assert!("k".repeat(128).parse::<IdempotencyKey>().is_ok());
        for bad in ["", "a b", "\u{e9}", "\n", &"k".repeat(129)] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(InvalidIdempotencyKey));
        }
    }
}
