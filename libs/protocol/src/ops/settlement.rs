//! What the sentinel has seen on a chain.

use chain::Claim;
use prost::{Enumeration, Message};

/// What a transaction uses up, and which transaction has used it up.
#[derive(Clone, PartialEq, Message)]
pub struct Settlement {
    /// [`custody::WalletId`].
    #[prost(string, tag = "1")]
    pub wallet: String,
    /// CAIP-2 chain id.
    #[prost(string, tag = "2")]
    pub chain: String,
    /// The nonce, where it is one; 0 where `coin` is there.
    #[prost(uint64, tag = "3")]
    pub nonce: u64,
    /// Id of the transaction that used it, 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub digest: Vec<u8>,
    /// The coin, on chains of coins.
    #[prost(message, optional, tag = "5")]
    pub coin: Option<Coin>,
    /// How sure that is.
    #[prost(enumeration = "SettlementState", tag = "6")]
    pub state: i32,
}

/// How sure it is that a claim is used up. The depth at which a block is final is the sentinel's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum SettlementState {
    /// For good: the block is as deep as it has to be. What says nothing else is final.
    Final = 0,
    /// In a block that may still vanish.
    Used = 1,
    /// Not used after all: the block has vanished, and `digest` was attested before.
    Revoked = 2,
}

/// A coin, by the transaction that made it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Coin {
    /// Id of that transaction, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub transaction: Vec<u8>,
    /// Its place among what that transaction made.
    #[prost(uint32, tag = "2")]
    pub place: u32,
}

/// Why a settlement can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettlementError {
    /// Two claims.
    #[error("a settlement is of a nonce or of a coin, not of both")]
    NonceAndCoin,
    /// No coin.
    #[error("a coin is named by the 32 bytes of a transaction's id and a place")]
    Coin,
    /// No transaction.
    #[error("a settlement names the 32 bytes of the transaction's id that used it up")]
    Digest,
    /// A state of another version.
    #[error("a settlement is final (0), used (1) or revoked (2)")]
    State,
}

impl Settlement {
    /// That `claim` of a wallet is used up for good by the transaction with this id.
    pub fn new(wallet: impl Into<String>, chain: impl Into<String>, claim: Claim, id: [u8; 32]) -> Self {
        let (nonce, coin) = Coin::of(claim);
        Self {
            wallet: wallet.into(),
            chain: chain.into(),
            nonce,
            digest: id.to_vec(),
            coin,
            state: SettlementState::Final.into(),
        }
    }

    /// The same, as sure as `state` says.
    pub fn stated(self, state: SettlementState) -> Self {
        Self { state: state.into(), ..self }
    }

    /// What is used up.
    pub fn claim(&self) -> Result<Claim, SettlementError> {
        Coin::claim(self.nonce, self.coin.as_ref())
    }

    /// Which transaction has used it up.
    pub fn id(&self) -> Result<[u8; 32], SettlementError> {
        self.digest.as_slice().try_into().map_err(|_| SettlementError::Digest)
    }

    /// How sure it is; a state that this version does not know is an error and never the default.
    pub fn known_state(&self) -> Result<SettlementState, SettlementError> {
        SettlementState::try_from(self.state).map_err(|_| SettlementError::State)
    }
}

impl Coin {
    /// A claim as two fields, of which one is empty.
    pub(super) fn of(claim: Claim) -> (u64, Option<Self>) {
        match claim {
            Claim::Sequence(nonce) => (nonce, None),
            Claim::Coin(transaction, place) => (0, Some(Coin { transaction: transaction.to_vec(), place })),
        }
    }

    /// The claim that two fields stand for.
    pub(super) fn claim(nonce: u64, coin: Option<&Self>) -> Result<Claim, SettlementError> {
        match coin {
            None => Ok(Claim::Sequence(nonce)),
            Some(_) if nonce != 0 => Err(SettlementError::NonceAndCoin),
            Some(Coin { transaction, place }) => {
                let transaction = transaction.as_slice().try_into().map_err(|_| SettlementError::Coin)?;
                Ok(Claim::Coin(transaction, *place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settlement_is_of_one_claim() {
        for claim in [Claim::Sequence(0), Claim::Sequence(u64::MAX), Claim::Coin([7; 32], 0), Claim::Coin([7; 32], 3)] {
            let settlement = Settlement::new("alice", "eip155:1", claim, [1; 32]);
            assert_eq!((settlement.claim(), settlement.id()), (Ok(claim), Ok([1; 32])));
        }
        let coin = Settlement::new("alice", "eip155:1", Claim::Coin([7; 32], 3), [1; 32]);
        let both = Settlement { nonce: 1, ..coin.clone() };
        assert_eq!(both.claim(), Err(SettlementError::NonceAndCoin));
        for transaction in [vec![], vec![7; 31], vec![7; 33]] {
            let short = Settlement { coin: Some(Coin { transaction, place: 0 }), ..coin.clone() };
            assert_eq!(short.claim(), Err(SettlementError::Coin));
        }
        assert_eq!(Settlement { digest: vec![1; 31], ..coin }.id(), Err(SettlementError::Digest));
    }

    /// A nonce is written as it always was: other implementations don't know the coin.
    #[test]
    fn a_nonce_has_no_trace_of_a_coin() {
        let bytes = Settlement::new("a", "c", Claim::Sequence(300), [1; 32]).encode_to_vec();
        assert_eq!(bytes, [b"\x0a\x01a\x12\x01c\x18\xac\x02\x22\x20", &[1; 32][..]].concat());
    }

    /// Whoever knows no states says "final" by saying nothing.
    #[test]
    fn a_final_settlement_has_no_trace_of_its_state_and_an_unknown_one_is_none() {
        let settled = Settlement::new("a", "c", Claim::Sequence(300), [1; 32]);
        for (state, tail) in [
            (SettlementState::Final, &[][..]),
            (SettlementState::Used, &[0x30, 1]),
            (SettlementState::Revoked, &[0x30, 2]),
        ] {
            let stated = settled.clone().stated(state);
            assert_eq!(stated.encode_to_vec(), [&settled.encode_to_vec(), tail].concat());
            assert_eq!(Settlement::decode(stated.encode_to_vec().as_slice()).unwrap().known_state(), Ok(state));
        }
        for state in [-1, 3] {
            assert_eq!(Settlement { state, ..settled.clone() }.known_state(), Err(SettlementError::State));
        }
    }
}
