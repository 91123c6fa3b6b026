//! `SafeTx`: its bytes on the wire (`abi.encode` of the ten fields), its digest, and how to make one.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{Eip712Domain, SolCall, SolStruct, SolValue};
use chain::{Amount, Asset, ChainError, Effect, Refusal};

use crate::{
    abi::{SafeTx, transferCall},
    address,
    decode::Reason,
};

/// Reads all of `unsigned`. One transaction has one encoding: what does not encode to the same bytes is refused.
pub(crate) fn parse(unsigned: &[u8]) -> Result<SafeTx, Refusal> {
    let transaction = SafeTx::abi_decode_params_validate(unsigned)
        .map_err(|error| Reason::Malformed.because(format!("these bytes are no SafeTx: {error}")))?;
    if transaction.abi_encode_params() != unsigned {
        return Err(Reason::NotCanonical.because("these bytes are not the canonical encoding of their SafeTx"));
    }
    Ok(transaction)
}

/// What owners sign: EIP-712 with chain id and wallet address as domain, as the contract's `getTransactionHash`.
pub(crate) fn digest(transaction: &SafeTx, chain: u64, wallet: Address) -> [u8; 32] {
    let domain =
        Eip712Domain { chain_id: Some(U256::from(chain)), verifying_contract: Some(wallet), ..Eip712Domain::default() };
    transaction.eip712_signing_hash(&domain).0
}

/// The bytes of an effect.
pub(crate) fn build(effect: &Effect, assets: &[Asset], nonce: u64) -> Result<Vec<u8>, ChainError> {
    of_effect(effect, assets, nonce).map(|transaction| transaction.abi_encode_params())
}

/// The transaction that has this effect.
pub(crate) fn of_effect(effect: &Effect, assets: &[Asset], nonce: u64) -> Result<SafeTx, ChainError> {
    let (to, value, data) = match effect {
        Effect::Change { .. } => return Err(ChainError::Assemble("a Safe keeps its change by itself".to_owned())),
        Effect::Cancel { to } => (address::parse(to)?, U256::ZERO, Bytes::new()),
        Effect::Transfer { asset, to, amount: Amount(amount) } => {
            let to = address::parse(to)?;
            let listed = assets.iter().find(|listed| listed.symbol == *asset);
            match &listed.ok_or_else(|| ChainError::Assemble(format!("asset {asset} is not listed")))?.contract {
                None => (to, *amount, Bytes::new()),
                Some(contract) => {
                    let call = transferCall { to, amount: *amount };
                    (address::parse(contract)?, U256::ZERO, call.abi_encode().into())
                }
            }
        }
    };
    Ok(SafeTx {
        to,
        value,
        data,
        operation: 0,
        safeTxGas: U256::ZERO,
        baseGas: U256::ZERO,
        gasPrice: U256::ZERO,
        gasToken: Address::ZERO,
        refundReceiver: Address::ZERO,
        nonce: U256::from(nonce),
    })
}
