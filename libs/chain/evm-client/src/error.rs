//! What can go wrong between us and a chain.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{Panic, Revert as ErrorString, SolError};

/// Why the chain did not do what was asked. The text names the JSON-RPC method and what the node said, and never the
/// path of the node's URL: that is where providers put API keys.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL can't be used.
    #[error("the node's URL is malformed: expected http://HOST:PORT or https://HOST/PATH")]
    Url,
    /// No answer, or none from the node itself: the same request may be made again.
    #[error("{method}: the node at {node} is away: {reason}")]
    Away {
        /// JSON-RPC method.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// What happened instead of an answer.
        reason: String,
    },
    /// The node refused the request.
    #[error("{method}: the node at {node} says: {message} (code {code})")]
    Node {
        /// JSON-RPC method.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// JSON-RPC error code.
        code: i64,
        /// The node's own words.
        message: String,
    },
    /// The chain's code refuses the call: asking again changes nothing until the chain's state does.
    #[error("{method}: the call reverts: {revert}")]
    Reverted {
        /// JSON-RPC method.
        method: &'static str,
        /// What the code said.
        revert: Revert,
    },
    /// The answer is not what the method's specification says.
    #[error("{method}: the node at {node} answered something else than {expected}; is it an Ethereum JSON-RPC node?")]
    Malformed {
        /// JSON-RPC method.
        method: &'static str,
        /// Scheme, host and port.
        node: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The node serves another chain.
    #[error("the node at {node} serves chain eip155:{found}, not eip155:{expected}; point the URL to the right chain")]
    WrongChain {
        /// Scheme, host and port.
        node: String,
        /// EIP-155 id asked for.
        expected: u64,
        /// EIP-155 id found.
        found: u64,
    },
    /// The relayer can't pay.
    #[error("the relayer {relayer} holds {balance} wei and this transaction may cost {needed} wei; send it more")]
    Float {
        /// Who pays gas.
        relayer: Address,
        /// What it has, wei.
        balance: U256,
        /// The most that the transaction may cost, wei.
        needed: U256,
    },
    /// Sent, not mined within the time given.
    #[error("transaction {0} is sent and not mined yet")]
    Pending(B256),
    /// An earlier process of this account left transactions behind.
    #[error("transactions that {0} sent earlier are still not mined; start again when they are")]
    Unsettled(Address),
    /// No secp256k1 secret key.
    #[error("the relayer key is malformed: expected a file with 64 hex digits, with or without 0x")]
    Key,
}

/// The reason that a contract gave for reverting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// Text of a Solidity `Error(string)` (`GS013`), of a panic, or the node's words; absent when there was none.
    pub reason: Option<String>,
    /// What the call returned.
    pub data: Bytes,
}

impl Revert {
    /// From what a call returned and, where that says nothing, from the node's message.
    pub(crate) fn new(data: Bytes, message: &str) -> Self {
        let words = message.trim_start_matches("execution reverted").trim_start_matches([':', ' ']).trim();
        let reason = ErrorString::abi_decode(&data)
            .map(|error| error.reason)
            .or_else(|_| Panic::abi_decode(&data).map(|panic| panic.to_string()))
            .ok()
            .or_else(|| (!words.is_empty()).then(|| words.to_owned()));
        Self { reason: reason.map(|text| text.chars().filter(|c| !c.is_control()).take(200).collect()), data }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.data.len()) {
            (Some(reason), _) => f.write_str(reason),
            (None, 0) => f.write_str("no reason given"),
            (None, length) => write!(f, "{} ({length} bytes)", Bytes::copy_from_slice(&self.data[..length.min(36)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_shows_the_contracts_own_reason() {
        let data = Bytes::from(ErrorString { reason: "GS013".into() }.abi_encode());
        assert_eq!(Revert::new(data, "execution reverted").reason.as_deref(), Some("GS013"));
    }

    #[test]
    fn a_revert_without_data_shows_the_nodes_words() {
        assert_eq!(Revert::new(Bytes::new(), "execution reverted: GS026").reason.as_deref(), Some("GS026"));
        assert_eq!(Revert::new(Bytes::new(), "execution reverted").to_string(), "no reason given");
    }

    #[test]
    fn a_custom_error_shows_its_selector() {
        let data = Bytes::from(vec![0xab; 64]);
        assert!(Revert::new(data, "execution reverted").to_string().starts_with("0xabababab"));
    }

    #[test]
    fn a_hostile_reason_is_cut_and_has_no_control_characters() {
        let reason = format!("\u{1b}[2J{}", "x".repeat(10_000));
        let data = Bytes::from(ErrorString { reason }.abi_encode());
        let shown = Revert::new(data, "").to_string();
        assert!(shown.len() <= 200 && !shown.contains('\u{1b}'));
    }
}
