//! Whether wallets can be on this chain what they must be: the contracts that every wallet is made of, and the address
//! that a creation gives. Asked before the first address is given out: money sent to an address that can't be made
//! would be out of reach.

use std::sync::Arc;

use alloy_primitives::{Address, keccak256};
use chain::{ChainId, ClientError};
use chain_evm::constants::{FACTORY, FACTORY_CODE_HASH, SINGLETON, SINGLETON_CODE_HASH};

use crate::{call::Call, follow::View, node::Node};

/// Refuses a chain where a contract has other code than every address is computed from.
pub(crate) async fn codes(chain: &ChainId, view: &View) -> Result<(), ClientError> {
    let contracts = [
        ("the Safe proxy factory", FACTORY, FACTORY_CODE_HASH),
        ("the Safe singleton", SINGLETON, SINGLETON_CODE_HASH),
    ];
    for (name, address, expected) in contracts {
        let ask = async |node: Arc<Node>| node.code(address, Some(view.block())).await;
        let code = view.agreed("a contract's code", ask, |one, other| one == other).await?;
        let found = keccak256(&code);
        if found != expected {
            let why = match code.is_empty() {
                true => format!("{name} is not at {address}"),
                false => format!("{name} at {address} has other code (hash {found}, not {expected})"),
            };
            return Err(ClientError::Contracts { chain: chain.clone(), why });
        }
    }
    Ok(())
}

/// Refuses a chain where `creation` gives the wallet another address; a wallet that is there already needs none.
pub(crate) async fn creates(chain: &ChainId, view: &View, wallet: Address, creation: &Call) -> Result<(), ClientError> {
    let ask = async |node: Arc<Node>| match node.call(Address::ZERO, creation, Some(view.block())).await {
        Err(ClientError::Reverted { reason, .. }) => match node.code(wallet, Some(view.block())).await? {
            code if code.is_empty() => Ok(Err(format!("creating {wallet} reverts: {reason}"))),
            _ => Ok(Ok(())),
        },
        Err(error) => Err(error),
        // The factory returns the address.
        Ok(answer) if answer.len() == 32 && answer.get(12..) == Some(wallet.as_slice()) => Ok(Ok(())),
        Ok(answer) => Ok(Err(format!("creating {wallet} would give {answer} instead"))),
    };
    let created = view.agreed("a wallet's creation", ask, |one, other| one.is_ok() == other.is_ok()).await?;
    created.map_err(|why| ClientError::Contracts { chain: chain.clone(), why })
}
