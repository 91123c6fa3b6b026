//! The contracts as anybody can call them. Declared here once more on purpose: a thief is not bound by what our adapter is
//! willing to encode.

#![allow(missing_docs, unreachable_pub, reason = "the macro writes public items without documentation")]

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use chain_evm::constants::MULTICALL;

sol! {
    #[derive(Debug)]
    struct Asked { address target; bool allowFailure; bytes callData; }
    #[derive(Debug)]
    struct Answered { bool success; bytes returnData; }
    function aggregate3(Asked[] calls) external payable returns (Answered[] returnData);
    function getEthBalance(address addr) external view returns (uint256 balance);

    #[derive(Default)]
    function execTransaction(
        address to,
        uint256 value,
        bytes data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        bytes signatures
    ) external payable returns (bool success);
    function nonce() external view returns (uint256);
    function getThreshold() external view returns (uint256);
    function getOwners() external view returns (address[]);
    function balanceOf(address owner) external view returns (uint256);
}

/// A call, and whether the others go on without it.
pub(crate) fn asked(to: Address, data: Vec<u8>, may_fail: bool) -> Asked {
    Asked { target: to, allowFailure: may_fail, callData: data.into() }
}

/// All of them in one transaction: to whom, and what.
pub(crate) fn together(calls: Vec<Asked>) -> (Address, Bytes) {
    (MULTICALL, aggregate3Call { calls }.abi_encode().into())
}

/// The calls in one such transaction; none, if it is none.
pub(crate) fn parts(input: &[u8]) -> Vec<Asked> {
    aggregate3Call::abi_decode(input).map(|call| call.calls).unwrap_or_default()
}

/// All of a wallet's coin to `to`, with these signatures.
pub(crate) fn takes_all(to: Address, value: u128, signatures: Vec<u8>) -> Vec<u8> {
    let signatures = signatures.into();
    execTransactionCall { to, value: U256::from(value), signatures, ..Default::default() }.abi_encode()
}

/// Whether a call carries out what owners have signed.
pub(crate) fn executes(call: &Asked) -> bool {
    call.callData.starts_with(&execTransactionCall::SELECTOR)
}
