//! What a node's pool says of a transaction that it is handed. There is no common code for any of it, so the words of
//! geth, Nethermind, Besu, Erigon, reth, Arbitrum's and Optimism's nodes and anvil are told apart.

use chain::ClientError;

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it, now or already.
    Taken,
    /// A transaction with this nonce is mined.
    Passed,
    /// It offers too little, for the next block or for a replacement.
    Underpriced,
    /// Not now: another node, or the same later, may take it.
    Later,
    /// It does not take it, in its own words.
    Refused(String),
}

const KNOWN: &[&str] =
    &["already known", "alreadyknown", "known transaction", "already imported", "already in mempool", "already exists"];
const PASSED: &[&str] = &["nonce too low", "nonce is too low", "oldnonce", "old nonce", "nonce has already been used"];
const LATER: &[&str] = &[
    "nonce too high",
    "nonce is too high",
    "nonce gap",
    "noncegap",
    "too distant",
    "txpool is full",
    "pool is full",
    "rate limit",
    "limit exceeded",
    "too many",
    "in-flight transaction limit",
    "temporarily",
    "try again",
];
const CHEAP: &[&str] = &[
    "underpriced",
    "less than block base fee",
    "less than the block base fee",
    "feecap",
    "fee cap",
    "fee too low",
    "feetoolow",
    "gas price too low",
    "gas price below",
    "could not replace",
    "replacement",
    "below the minimum",
    "below minimum",
    "tip too low",
];

/// Codes with which nodes refuse the transaction itself (EIP-1474, geth, OpenEthereum).
const OF_TRANSACTIONS: [i64; 4] = [-32000, -32003, -32010, -32602];

impl Answer {
    /// `None`: no answer, or one that says nothing of the transaction.
    pub(super) fn of<T>(sent: Result<T, ClientError>) -> Option<Self> {
        let (code, message) = match sent {
            Ok(_) => return Some(Answer::Taken),
            Err(ClientError::Node { code, message, .. }) => (code, message),
            Err(_) => return None,
        };
        let words = message.to_ascii_lowercase();
        let says = |any: &[&str]| any.iter().any(|phrase| words.contains(phrase));
        Some(if says(KNOWN) {
            Answer::Taken
        } else if says(PASSED) {
            Answer::Passed
        } else if says(CHEAP) {
            Answer::Underpriced
        } else if says(LATER) || !OF_TRANSACTIONS.contains(&code) {
            Answer::Later
        } else {
            Answer::Refused(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_nodes_are_understood() {
        let of = |code, message: &str| {
            Answer::of::<()>(Err(ClientError::Node {
                method: "eth_sendRawTransaction",
                node: String::new(),
                code,
                message: message.to_owned(),
            }))
            .unwrap()
        };
        assert_eq!(of(-32000, "already known"), Answer::Taken);
        assert_eq!(of(-32000, "AlreadyKnown"), Answer::Taken);
        assert_eq!(of(-32010, "Transaction with the same hash was already imported."), Answer::Taken);
        assert_eq!(of(-32000, "nonce too low: next nonce 4, tx nonce 3"), Answer::Passed);
        assert_eq!(of(-32003, "nonce too low"), Answer::Passed);
        for cheap in [
            "replacement transaction underpriced",
            "transaction underpriced: gas tip cap 0, minimum needed 100000000",
            "max fee per gas less than block base fee: address 0x00, maxFeePerGas: 1, baseFee: 2",
            "FeeTooLow, EffectivePriorityFeePerGas too low 0 < 1, BaseFee: 2",
            "could not replace existing tx",
            "Gas price below configured minimum gas price",
        ] {
            assert_eq!(of(-32000, cheap), Answer::Underpriced, "{cheap}");
        }
        assert_eq!(of(-32000, "nonce too high"), Answer::Later);
        for later in [
            "txpool is full",
            "in-flight transaction limit reached for delegated accounts",
            "internal error, try again later",
        ] {
            assert_eq!(of(-32000, later), Answer::Later, "{later}");
        }
        assert_eq!(of(-32005, "daily request count exceeded"), Answer::Later);
        assert_eq!(of(-32000, "intrinsic gas too low"), Answer::Refused("intrinsic gas too low".to_owned()));
        assert_eq!(
            of(-32003, "Insufficient funds for gas * price + value"),
            Answer::Refused("Insufficient funds for gas * price + value".to_owned())
        );
        let away = ClientError::Away { method: "eth_sendRawTransaction", node: String::new(), reason: String::new() };
        assert_eq!(Answer::of::<()>(Err(away)), None);
        assert_eq!(Answer::of(Ok(())), Some(Answer::Taken));
    }
}
