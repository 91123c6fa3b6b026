//! The calls of a batch, and how Multicall3 takes them.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
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

/// One call in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) to: Address,
    pub(super) data: Bytes,
}

impl Piece {
    fn new(call: &chain::Call) -> Result<Self, ChainError> {
        let Call { to, data, .. } = call.try_into()?;
        Ok(Self { to, data })
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
        Ok(Self {
            wallet: address(&group.wallet.address)?,
            creation: group.creation.as_ref().map(Piece::new).transpose()?,
            executions: group.executions.iter().map(Piece::new).collect::<Result<_, _>>()?,
        })
    }

    /// All its calls, in their order.
    pub(super) fn all(&self) -> Vec<&Piece> {
        self.creation.iter().chain(&self.executions).collect()
    }

    /// The group without what is refused.
    pub(super) fn left(&self, verdict: &Verdict) -> Self {
        let executions = match verdict.tried {
            Tried::In { executions, .. } => executions,
            Tried::Refused(_) | Tried::Later => 0,
        };
        Self {
            wallet: self.wallet,
            creation: self.creation.clone().filter(|_| verdict.creates && executions > 0),
            executions: self.executions[..executions].to_vec(),
        }
    }

    /// Those that are sent.
    pub(super) fn played(&self, verdict: &Verdict) -> Vec<&Piece> {
        let Tried::In { executions, .. } = verdict.tried else { return Vec::new() };
        let creation = self.creation.iter().filter(|_| verdict.creates);
        creation.chain(self.executions.iter().take(executions)).collect()
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
    let asked = |piece: &&Piece| Asked { target: piece.to, allowFailure: may_fail, callData: piece.data.clone() };
    let data = aggregate3Call { calls: pieces.iter().map(asked).collect() }.abi_encode();
    Call { to: MULTICALL, value: U256::ZERO, data: data.into() }
}
