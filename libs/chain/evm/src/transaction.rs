//! `SafeTx`: its bytes on the wire (`abi.encode` of the ten fields), its digest, and how to make one.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
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

/// EIP-712's type hashes, of the domain and of a `SafeTx`: the same for every digest.
static TYPES: LazyLock<[B256; 2]> =
    LazyLock::new(|| [domain(0, Address::ZERO).type_hash(), keccak256(SafeTx::eip712_encode_type().as_bytes())]);

/// What owners sign: EIP-712 with chain id and wallet address as domain, as the contract's `getTransactionHash`.
pub(crate) fn digest(transaction: &SafeTx, chain: u64, wallet: Address) -> [u8; 32] {
    let [of_domain, of_transaction] = *TYPES;
    let of = |kind: B256, data: &[u8]| keccak256([kind.as_slice(), data].concat());
    let domain = of(of_domain, &domain(chain, wallet).encode_data());
    let transaction = of(of_transaction, &transaction.eip712_encode_data());
    keccak256([&[0x19, 0x01], domain.as_slice(), transaction.as_slice()].concat()).0
}

fn domain(chain: u64, wallet: Address) -> Eip712Domain {
    Eip712Domain { chain_id: Some(U256::from(chain)), verifying_contract: Some(wallet), ..Eip712Domain::default() }
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
