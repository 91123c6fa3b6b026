//! The contracts' interfaces (Solidity ABI), as far as they are used.

#![allow(missing_docs, unreachable_pub, reason = "the macro writes public items without documentation")]

use alloy_sol_types::sol;

sol! {
    /// What owners sign (EIP-712). Names and order are part of the type hash.
    #[derive(Debug, PartialEq, Eq)]
    struct SafeTx {
        address to;
        uint256 value;
        bytes data;
        uint8 operation;
        uint256 safeTxGas;
        uint256 baseGas;
        uint256 gasPrice;
        address gasToken;
        address refundReceiver;
        uint256 nonce;
    }

    function setup(
        address[] owners,
        uint256 threshold,
        address to,
        bytes data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address paymentReceiver
    ) external;

    function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) external;

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
    ) external payable;

    /// ERC-20.
    function transfer(address to, uint256 amount) external;
}
