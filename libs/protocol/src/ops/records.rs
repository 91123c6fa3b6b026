//! What a signer has recorded of App's requests, for an App whose database may have forgotten some of them: ids, claims,
//! digests and states, never a signature.

use chain::Claim;
use prost::{Enumeration, Message};

use super::settlement::{Coin, SettlementError};

/// Most records in one answer.
pub const MAX_RECORDS: u32 = 1_000;

/// Reads on. What is empty restricts nothing.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadRecords {
    /// Records after this one; 0: from the first.
    #[prost(uint64, tag = "1")]
    pub after: u64,
    /// Only of this wallet ([`custody::WalletId`]).
    #[prost(string, tag = "2")]
    pub wallet: String,
    /// Only of this payment, [`super::PAYMENT_ID_BYTES`].
    #[prost(bytes = "vec", tag = "3")]
    pub payment_id: Vec<u8>,
    /// At most so many, and never more than [`MAX_RECORDS`]; 0: that many.
    #[prost(uint32, tag = "4")]
    pub limit: u32,
}

/// Some of the records, in the order in which they were made.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Records {
    /// See there.
    #[prost(message, repeated, tag = "1")]
    pub records: Vec<Record>,
    /// There are more after the last of these.
    #[prost(bool, tag = "2")]
    pub more: bool,
    /// 16 random bytes of the signer's store: numbers of another store mean nothing in this one.
    #[prost(bytes = "vec", tag = "3")]
    pub store: Vec<u8>,
    /// The number of the store's last record, whatever was asked for; 0: it has none.
    #[prost(uint64, tag = "4")]
    pub last: u64,
}

/// One request of App to sign, and what came of it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Record {
    /// Its number in the store, from 1 on.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The operation; empty for what was signed before operations were recorded, and for what an imported history
    /// tells.
    #[prost(bytes = "vec", tag = "2")]
    pub operation_id: Vec<u8>,
    /// The payment; empty where none was named.
    #[prost(bytes = "vec", tag = "3")]
    pub payment_id: Vec<u8>,
    /// [`custody::WalletId`].
    #[prost(string, tag = "4")]
    pub wallet: String,
    /// CAIP-2 chain id.
    #[prost(string, tag = "5")]
    pub chain: String,
    /// All that the transaction uses up; nothing where the request was refused before it was decoded.
    #[prost(message, repeated, tag = "6")]
    pub claims: Vec<Used>,
    /// Id of the transaction, 32 bytes; empty as above.
    #[prost(bytes = "vec", tag = "7")]
    pub digest: Vec<u8>,
    /// What came of it.
    #[prost(enumeration = "RecordState", tag = "8")]
    pub state: i32,
    /// Why it was refused.
    #[prost(string, tag = "9")]
    pub reason: String,
    /// It is a cancel.
    #[prost(bool, tag = "10")]
    pub cancel: bool,
}

/// What came of a request to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum RecordState {
    /// Not said: read as [`RecordState::Signed`], the worst that it can be.
    Unknown = 0,
    /// It was signed, or may have been: it can happen.
    Signed = 1,
    /// It was refused; nothing was signed for this request.
    Refused = 2,
    /// It was signed, and is attested as what has used its claims up.
    Settled = 3,
    /// It was signed, and another transaction is attested as what has used one of its claims up.
    Superseded = 4,
}

/// What a transaction uses up: a nonce, or a coin.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Used {
    /// The nonce, where it is one; 0 where `coin` is there.
    #[prost(uint64, tag = "1")]
    pub nonce: u64,
    /// The coin, on chains of coins.
    #[prost(message, optional, tag = "2")]
    pub coin: Option<Coin>,
}

impl From<Claim> for Used {
    fn from(claim: Claim) -> Self {
        let (nonce, coin) = Coin::of(claim);
        Self { nonce, coin }
    }
}

impl TryFrom<&Used> for Claim {
    type Error = SettlementError;

    fn try_from(used: &Used) -> Result<Self, SettlementError> {
        Coin::claim(used.nonce, used.coin.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope::MAX_BYTES, ops::Outcome, ops::Response};

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for claim in [Claim::Sequence(0), Claim::Sequence(u64::MAX), Claim::Coin([7; 32], 0), Claim::Coin([7; 32], 3)] {
            assert_eq!(Claim::try_from(&Used::from(claim)), Ok(claim));
        }
        let both = Used { nonce: 1, ..Used::from(Claim::Coin([7; 32], 3)) };
        assert_eq!(Claim::try_from(&both), Err(SettlementError::NonceAndCoin));
    }

    #[test]
    fn the_most_records_of_nonces_fit_into_one_envelope() {
        let record = Record {
            number: u64::MAX,
            operation_id: vec![1; 16],
            payment_id: vec![1; 32],
            wallet: "w".repeat(64),
            chain: "c".repeat(41),
            claims: vec![Used::from(Claim::Sequence(u64::MAX))],
            digest: vec![1; 32],
            state: RecordState::Superseded.into(),
            reason: "r".repeat(64),
            cancel: true,
        };
        let records = vec![record; MAX_RECORDS as usize];
        let page = Records { records, more: true, store: vec![1; 16], last: u64::MAX };
        let answer = Response { outcome: Some(Outcome::Records(page)) }.encoded_len();
        assert!(answer + 1_024 <= MAX_BYTES, "{answer}");
    }
}
