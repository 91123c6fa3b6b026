//! The calls of a batch, and how Multicall3 takes them.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use chain::{
    ChainError,
    batch::{Group, Tried},
};
use chain_evm::constants::MULTICALL;

use crate::{
    call::Call,
    client::address,
    reads::{Asked, aggregate3Call},
};

sol! {
    /// Of a Safe, which lets nobody but itself call it (GS031).
    function changeThreshold(uint256 threshold);
}

/// What one call adds to its bytes: its place in the list, target, flag, place and length of its data.
const AROUND_CALL: usize = 5 * 32;
/// What stands around a creation beside that: a list of two calls, the first with 36 bytes, behind 4 bytes more.
const AROUND_CREATION: usize = 2 * AROUND_CALL + 5 * 32;

/// One call in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) to: Address,
    pub(super) data: Bytes,
    /// The wallet that it creates.
    pub(super) creates: Option<Address>,
}

impl Piece {
    fn new(call: &chain::Call, creates: Option<Address>) -> Result<Self, ChainError> {
        let Call { to, data, .. } = call.try_into()?;
        Ok(Self { to, data, creates })
    }

    /// How Multicall3 is asked for it. CREATE2 takes nearly all gas there is where something is at the address already, and
    /// so would stop all that follows. So a creation is a Multicall3 of its own, behind a call that the wallet refuses if it
    /// is there; where nothing is, a call does nothing and is no failure.
    fn asked(&self, may_fail: bool) -> Asked {
        let own = Asked { target: self.to, allowFailure: may_fail, callData: self.data.clone() };
        let Some(wallet) = self.creates else { return own };
        let refused = changeThresholdCall { threshold: U256::ZERO }.abi_encode().into();
        let absent = Asked { target: wallet, allowFailure: false, callData: refused };
        let data = aggregate3Call { calls: vec![absent, own] }.abi_encode();
        Asked { target: MULTICALL, allowFailure: may_fail, callData: data.into() }
    }

    /// What it adds to the bytes of a transaction.
    pub(super) fn size(&self) -> usize {
        let around = AROUND_CALL + if self.creates.is_some() { AROUND_CREATION } else { 0 };
        around + self.data.len().next_multiple_of(32)
    }
}

/// A group as it is encoded.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) wallet: Address,
    pub(super) creation: Option<Piece>,
    pub(super) executions: Vec<Piece>,
}

impl Prepared {
    pub(super) fn new(group: &Group<'_>) -> Result<Self, ChainError> {
        let wallet = address(&group.wallet.address)?;
        let executions = group.executions.iter().map(|call| Piece::new(call, None));
        Ok(Self {
            wallet,
            creation: group.creation.as_ref().map(|call| Piece::new(call, Some(wallet))).transpose()?,
            executions: executions.collect::<Result<_, _>>()?,
        })
    }

    /// All its calls, in their order.
    pub(super) fn all(&self) -> Vec<&Piece> {
        self.creation.iter().chain(&self.executions).collect()
    }

    /// The group without what is refused.
    pub(super) fn left(&self, verdict: &Verdict) -> Self {
        let played = |piece: &Option<Piece>| piece.clone().filter(|_| verdict.creates);
        match verdict.tried {
            Tried::In { executions, .. } => Self {
                wallet: self.wallet,
                creation: played(&self.creation),
                executions: self.executions[..executions].to_vec(),
            },
            Tried::Refused(_) | Tried::Later => Self { wallet: self.wallet, creation: None, executions: Vec::new() },
        }
    }
}

/// What a trial says of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) tried: Tried,
    /// Whether its creation is to be sent: nobody has created it yet.
    pub(super) creates: bool,
}

/// `aggregate3` of these calls.
pub(super) fn aggregate(pieces: &[&Piece], may_fail: bool) -> Call {
    let data = aggregate3Call { calls: pieces.iter().map(|piece| piece.asked(may_fail)).collect() }.abi_encode();
    Call { to: MULTICALL, value: U256::ZERO, data: data.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_adds_to_a_transaction_is_known_before_it_is_encoded() {
        let piece = |creates, bytes| Piece { to: Address::ZERO, data: vec![1; bytes].into(), creates };
        let bytes = |pieces: &[&Piece]| aggregate(pieces, true).data.len();
        for creates in [None, Some(Address::ZERO)] {
            for length in [0, 1, 32, 548] {
                let (one, small) = (piece(creates, length), piece(None, 0));
                assert_eq!(one.size(), bytes(&[&small, &one]) - bytes(&[&small]), "{length} {creates:?}");
            }
        }
    }
}
