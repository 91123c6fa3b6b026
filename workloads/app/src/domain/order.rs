//! What somebody asks App to pay, and by which names the payment is known.

use std::{fmt, str::FromStr};

use chain::Effect;
use custody::WalletId;
use data_encoding::HEXLOWER;
use protocol::{
    ops::{Attestation, PAYMENT_ID_BYTES},
    payment_id,
};

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

/// App's name of a payment, shown in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PaymentId {
    /// SHA-256 over the caller's scope and idempotency key: the same from an App that has forgotten the payment, and
    /// the signers know it too.
    OfKey([u8; PAYMENT_ID_BYTES]),
    /// 16 random bytes: from before the signers were told. They never are.
    Random([u8; 16]),
}

/// Not the form of a payment id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a payment id; expected 64 lower-case hex digits (32 for an old one)")]
pub(crate) struct InvalidPaymentId(String);

impl PaymentId {
    /// The payment that a caller, named by its scope, asks for under this key.
    pub(crate) fn of(scope: &str, key: &IdempotencyKey) -> Self {
        Self::OfKey(payment_id(scope, key.as_str()))
    }

    /// What the signers know it by.
    pub(crate) fn for_signers(&self) -> Option<&[u8; PAYMENT_ID_BYTES]> {
        match self {
            Self::OfKey(id) => Some(id),
            Self::Random(_) => None,
        }
    }
}

impl FromStr for PaymentId {
    type Err = InvalidPaymentId;

    fn from_str(text: &str) -> Result<Self, InvalidPaymentId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).unwrap_or_default();
        let of_key = <[u8; PAYMENT_ID_BYTES]>::try_from(bytes.as_slice()).map(Self::OfKey);
        of_key
            .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(Self::Random))
            .map_err(|_| InvalidPaymentId(text.to_owned()))
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfKey(id) => f.write_str(&HEXLOWER.encode(id)),
            Self::Random(id) => f.write_str(&HEXLOWER.encode(id)),
        }
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
        let key = "order-7".parse().unwrap();
        for id in [PaymentId::of("default", &key), PaymentId::Random([7; 16])] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_ne!(PaymentId::of("shop", &key), PaymentId::of("kiosk", &key));
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
