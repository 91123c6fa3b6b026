//! A transaction as it was decoded: what it does, what it uses up, what it costs, how long it is valid.

use std::{collections::BTreeMap, fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::{Amount, ChainError, Payer};

/// An asset that may move. Whatever is not listed is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Symbol for policy and people.
    pub symbol: String,
    /// `None` is the chain's native coin.
    pub contract: Option<String>,
}

/// One thing that signing would do, decoded from the bytes to be signed and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Moves one asset to one destination.
    Transfer {
        /// Symbol of the asset.
        asset: String,
        /// Destination, display form.
        to: String,
        /// Amount in the smallest unit.
        amount: Amount,
    },
    /// Comes back to the wallet itself.
    Change {
        /// Symbol of the asset.
        asset: String,
        /// Amount in the smallest unit.
        amount: Amount,
    },
    /// Moves nothing: uses up the claims. `to` must be one of the manifest's safe destinations.
    Cancel {
        /// Destination of the empty call.
        to: String,
    },
}

/// What a transaction uses up, so that it can happen once only. In documents it is text, as it is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Claim {
    /// A number of the wallet, used strictly one after the other (a Safe's nonce). Unique within the wallet.
    Sequence(u64),
    /// A coin: the 32-byte id of the transaction that made it, and its place there. Unique within the chain.
    Coin([u8; 32], u32),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Sequence(number) => write!(f, "nonce {number}"),
            Claim::Coin(of, place) => write!(f, "coin {}:{place}", HEXLOWER.encode(of)),
        }
    }
}

impl FromStr for Claim {
    type Err = ChainError;

    /// Reads what [`fmt::Display`] writes; a number alone is a nonce.
    fn from_str(text: &str) -> Result<Self, ChainError> {
        let refused = || ChainError::Claim(text.to_owned());
        let number = |digits: &str| digits.parse().ok().filter(|number: &u64| number.to_string() == digits);
        match text.strip_prefix("coin ") {
            Some(coin) => {
                let (of, place) = coin.split_once(':').ok_or_else(refused)?;
                let of = HEXLOWER.decode(of.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
                let place = number(place).and_then(|place| u32::try_from(place).ok());
                Ok(Claim::Coin(of.ok_or_else(refused)?, place.ok_or_else(refused)?))
            }
            None => number(text.strip_prefix("nonce ").unwrap_or(text)).map(Claim::Sequence).ok_or_else(refused),
        }
    }
}

impl TryFrom<String> for Claim {
    type Error = ChainError;

    fn try_from(text: String) -> Result<Self, ChainError> {
        text.parse()
    }
}

impl From<Claim> for String {
    fn from(claim: Claim) -> Self {
        claim.to_string()
    }
}

/// What a transaction costs beside what it moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fee {
    /// Symbol of the asset that it is paid in; empty where nothing is paid.
    pub asset: String,
    /// At most this much, in the smallest unit.
    pub most: Amount,
    /// Who pays it.
    pub payer: Payer,
}

/// How long a signature may still take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Until another transaction has used one of its claims.
    UntilClaimed,
    /// Until then, Unix milliseconds.
    Until(u64),
}

/// A decoded transaction. Making one is the adapter's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// 32 bytes that stand for all that is signed, and that differ wherever anything of it does. EVM: the Safe's hash.
    pub id: [u8; 32],
    /// What it does; at least one.
    pub effects: Vec<Effect>,
    /// What it costs.
    pub fee: Fee,
    /// What it uses up; at least one.
    pub claims: Vec<Claim>,
    /// How long it can take effect.
    pub validity: Validity,
}

impl Transaction {
    /// Whether it moves nothing and only uses up its claims.
    pub fn is_cancel(&self) -> bool {
        self.effects.iter().all(|effect| !matches!(effect, Effect::Transfer { .. }))
    }

    /// The transfers among the effects.
    pub fn transfers(&self) -> impl Iterator<Item = (&str, &str, Amount)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Transfer { asset, to, amount } => Some((asset.as_str(), to.as_str(), *amount)),
            Effect::Change { .. } | Effect::Cancel { .. } => None,
        })
    }

    /// What is paid, by asset. `None`: a sum exceeds 256 bits.
    pub fn paid(&self) -> Option<BTreeMap<&str, Amount>> {
        add_up(self.transfers().map(|(asset, _, amount)| (asset, amount)))
    }

    /// What leaves the wallet, by asset: transfers, and the fee where the wallet pays it. `None`: a sum exceeds 256 bits.
    pub fn spent(&self) -> Option<BTreeMap<&str, Amount>> {
        add_up(self.transfers().map(|(asset, _, amount)| (asset, amount)).chain(self.own_fee()))
    }

    /// The fee that the wallet pays itself.
    pub fn own_fee(&self) -> Option<(&str, Amount)> {
        let Fee { asset, most, payer } = &self.fee;
        (*payer == Payer::Wallet && !most.is_zero()).then_some((asset.as_str(), *most))
    }
}

fn add_up<'a>(amounts: impl Iterator<Item = (&'a str, Amount)>) -> Option<BTreeMap<&'a str, Amount>> {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for (asset, amount) in amounts {
        let sum = sums.entry(asset).or_default();
        *sum = sum.checked_add(amount)?;
    }
    Some(sums)
}

/// What an owner signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// 32 bytes, signed as they are.
    Digest([u8; 32]),
    /// A message that the scheme hashes itself.
    Message(Vec<u8>),
}

/// One signature in the chain's encoding (EVM: 65 bytes r, s, v).
pub type Signature = Vec<u8>;

/// One owner's signatures over all payloads of a transaction, in their order.
pub type Signatures = Vec<Signature>;

/// What is carried to the chain by whoever pays for it; it needs no further signature of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract that is called, in display form; empty where `data` is a whole transaction.
    pub to: String,
    /// In the chain's encoding (EVM: calldata, sent with value 0).
    pub data: Vec<u8>,
}

/// Why a transaction is not signed: stable reason and one line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// CamelCase, part of the API.
    pub reason: &'static str,
    /// What was wrong.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_written_and_read() {
        for claim in [Claim::Sequence(0), Claim::Sequence(u64::MAX), Claim::Coin([7; 32], 3)] {
            assert_eq!(claim.to_string().parse(), Ok(claim));
        }
        assert_eq!("12".parse(), Ok(Claim::Sequence(12)));
        for bad in ["", "01", "nonce", "-1", "coin 00:1", "coin :", "18446744073709551616"] {
            assert_eq!(bad.parse::<Claim>(), Err(ChainError::Claim(bad.to_owned())));
        }
    }

    #[test]
    fn what_leaves_the_wallet_is_its_transfers_and_the_fee_that_it_pays() {
        let transfer = |asset: &str, amount: u128| Effect::Transfer {
            asset: asset.to_owned(),
            to: "a".to_owned(),
            amount: Amount::from(amount),
        };
        let change = Effect::Change { asset: "COIN".to_owned(), amount: Amount::from(100) };
        let fee = Fee { asset: "COIN".to_owned(), most: Amount::from(5), payer: Payer::Wallet };
        let mut transaction = Transaction {
            id: [0; 32],
            effects: vec![transfer("COIN", 1), transfer("OTHER", 2), transfer("COIN", 3), change],
            fee,
            claims: vec![Claim::Coin([1; 32], 0)],
            validity: Validity::UntilClaimed,
        };
        let expected = |coin: u128| BTreeMap::from([("COIN", Amount::from(coin)), ("OTHER", Amount::from(2))]);
        assert_eq!((transaction.paid(), transaction.spent()), (Some(expected(4)), Some(expected(9))));
        transaction.fee.payer = Payer::Relayer;
        assert_eq!(transaction.spent(), Some(expected(4)));
        assert!(!transaction.is_cancel());
        transaction.effects.push(transfer("OTHER", u128::MAX));
        let most = Amount::from_be_bytes([0xff; 32]);
        transaction.effects.push(Effect::Transfer { asset: "OTHER".to_owned(), to: "a".to_owned(), amount: most });
        assert_eq!((transaction.paid(), transaction.spent()), (None, None), "a sum never wraps");
    }
}
