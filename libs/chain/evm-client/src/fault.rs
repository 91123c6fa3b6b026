//! What an error of a node means: the chain's word, a node that can't say, or something malformed. Nodes have no common
//! codes for it, so their words are looked at too.

use std::time::Duration;

use alloy_json_rpc::{ErrorPayload, ResponsePacket, RpcError};
use alloy_primitives::Bytes;
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use chain::{ClientError, Inability};
use serde_json::Value;

use crate::revert::Revert;

/// Whether the same packet should be sent again, and how long the node wants us to wait.
pub(crate) fn later(result: &Result<ResponsePacket, TransportError>) -> Option<Option<Duration>> {
    match result {
        // What is busy in a batch is asked again alone.
        Ok(ResponsePacket::Batch(_)) => None,
        Ok(packet) => packet.iter_errors().any(is_busy).then_some(None),
        Err(RpcError::ErrorResp(payload)) => is_busy(payload).then_some(None),
        Err(RpcError::Transport(kind)) => match kind {
            TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after } => {
                is_later(error).then_some(Some(*retry_after))
            }
            TransportErrorKind::HttpError(error) => is_later(error).then_some(None),
            TransportErrorKind::Custom(_) => Some(None),
            _ => None,
        },
        Err(_) => None,
    }
}

fn is_later(error: &HttpError) -> bool {
    error.status == 429 || error.status >= 500
}

/// The words in which providers limit requests. Limits on the range or the number of logs are no such: a narrower
/// question is answered at once.
fn is_busy(payload: &ErrorPayload) -> bool {
    let words = payload.message.to_ascii_lowercase();
    if is_too_wide(&words) {
        return false;
    }
    let limits = [
        "rate limit",
        "ratelimit",
        "too many requests",
        "limit exceeded",
        "request limit",
        "per second",
        "throughput",
        "capacity",
        "credits",
        "quota",
        "overloaded",
        "busy",
        "try again",
        "temporarily",
        "timed out",
        "timeout",
    ];
    matches!(payload.code, 429 | 1008 | 1015 | -32005 | -32016 | -32029 | -32097)
        || payload.is_retry_err()
        || limits.iter().any(|limit| words.contains(limit))
}

/// The words in which providers refuse to look for logs in so many blocks.
fn is_too_wide(words: &str) -> bool {
    let wide = ["range", "results", "response size", "logs matched", "blocks", "query exceeds", "too large"];
    wide.iter().any(|limit| words.contains(limit)) && !words.contains("per second")
}

/// Whether a refusal of `eth_getLogs` may be overcome by fewer blocks.
pub(crate) fn wants_fewer_blocks(error: &ClientError) -> bool {
    match error {
        ClientError::Node { code, .. } => *code != -32601,
        // The answer was too long to be read.
        ClientError::Malformed { .. } => true,
        _ => false,
    }
}

/// Whether a refusal may be overcome by asking for less at a time: a node bounds what a call takes, what it answers and
/// how long that takes it, in words of its own.
pub(crate) fn wants_less(error: &ClientError) -> bool {
    let time = |words: &str| ["timed out", "timeout"].iter().any(|word| words.to_ascii_lowercase().contains(word));
    match error {
        ClientError::Reverted { .. } | ClientError::Node { .. } | ClientError::Malformed { .. } => true,
        ClientError::Away { reason, .. } => time(reason),
        ClientError::Unable { inability: Inability::Busy { message, .. }, .. } => time(message),
        _ => false,
    }
}

/// What went wrong in one request to `node`.
pub(crate) fn fault(method: &'static str, node: &str, expected: &'static str, error: TransportError) -> ClientError {
    let node = node.to_owned();
    let away = |node, reason| ClientError::Away { method, node, reason };
    match error {
        RpcError::ErrorResp(payload) => refusal(method, node, payload),
        RpcError::Transport(kind) => match kind {
            TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after } if error.status == 429 => {
                busy(method, node, "HTTP status 429".to_owned(), Some(retry_after))
            }
            TransportErrorKind::HttpError(error) if error.status == 429 => {
                busy(method, node, "HTTP status 429".to_owned(), None)
            }
            // Whatever stands before the node takes no request of this size.
            TransportErrorKind::HttpError(error) if error.status == 413 => {
                let message = "HTTP status 413, the request is too large".to_owned();
                ClientError::Node { method, node, code: 413, message }
            }
            TransportErrorKind::HttpError(HttpError { status, .. })
            | TransportErrorKind::HttpErrorWithRetryAfter { error: HttpError { status, .. }, .. } => {
                away(node, format!("HTTP status {status}"))
            }
            TransportErrorKind::MissingBatchResponse(_) => malformed(method, node, "an answer to each request"),
            TransportErrorKind::NonRetryable(error) if error.to_string().contains("answer") => {
                malformed(method, node, expected)
            }
            other => away(node, other.to_string()),
        },
        RpcError::DeserError { .. } | RpcError::NullResp => malformed(method, node, expected),
        other => away(node, other.to_string()),
    }
}

pub(crate) fn malformed(method: &'static str, node: String, expected: &'static str) -> ClientError {
    ClientError::Malformed { method, node, expected, interface: "Ethereum JSON-RPC" }
}

fn busy(method: &'static str, node: String, message: String, retry_after: Option<Duration>) -> ClientError {
    ClientError::Unable { method, node, inability: Inability::Busy { message, retry_after } }
}

fn refusal(method: &'static str, node: String, payload: ErrorPayload) -> ClientError {
    let message = message(&payload);
    let words = message.to_ascii_lowercase();
    let data = payload.data.as_ref().and_then(|data| revert_data(data.get())).unwrap_or_default();
    let has = |list: &[&str]| list.iter().any(|part| words.contains(part));
    let unable = |node, inability| ClientError::Unable { method, node, inability };
    let unknown_block = [
        "header not found",
        "unknown block",
        "block not found",
        "header for hash not found",
        "could not find block",
        "block does not exist",
        "beyond current head",
        "out of range",
        "unfinalized data",
        "block number out",
        "blockoutofrange",
        "not yet available",
        "future block",
        "after last accepted block",
    ];
    let pruned = [
        "missing trie node",
        "pruned",
        "archive",
        "historical state",
        "state is not available",
        "state not available",
        "history unavailable",
        "state already discarded",
        "no state available",
    ];
    if matches!(method, "eth_call" | "eth_estimateGas") && is_revert(payload.code, &words, &data) {
        return ClientError::Reverted { method, reason: Revert::new(data, &message).to_string() };
    }
    if payload.code == 4444 || has(&pruned) {
        return unable(node, Inability::Pruned(message));
    }
    if has(&unknown_block) && !(method == "eth_getLogs" && has(&["range limit", "max range", "exceeds"])) {
        return unable(node, Inability::NoBlock(message));
    }
    if has(&["syncing", "not synced", "sync in progress"]) {
        return unable(node, Inability::Syncing);
    }
    if is_busy(&payload) {
        return busy(method, node, message, None);
    }
    ClientError::Node { method, node, code: payload.code, message }
}

/// The bytes that a call returned when it reverted: some nodes wrap them.
fn revert_data(raw: &str) -> Option<Bytes> {
    let value: Value = serde_json::from_str(raw).ok()?;
    let bytes = |value: &Value| value.as_str().filter(|text| text.starts_with("0x"))?.parse().ok();
    bytes(&value).or_else(|| bytes(&value["data"]))
}

/// Nodes have no common code for "the code of the chain refuses": 3 in geth and anvil, -32015 in others, -32000 with
/// words for exceptional halts. A halt must not look like a fault of the node, or it would be tried for ever.
fn is_revert(code: i64, words: &str, data: &Bytes) -> bool {
    let halts = [
        "revert",
        "insufficient funds",
        "insufficient balance",
        "invalid opcode",
        "invalidfeopcode",
        "out of gas",
        "outofgas",
        "evm error",
        "execution error",
    ];
    code == 3 || code == -32015 || !data.is_empty() || halts.iter().any(|halt| words.contains(halt))
}

/// An error payload as text that may be shown.
pub(crate) fn message(payload: &ErrorPayload) -> String {
    payload.message.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(method: &'static str, error: Value) -> ClientError {
        fault(method, "node", "a value", RpcError::ErrorResp(serde_json::from_value(error).unwrap()))
    }

    fn inability(method: &'static str, error: Value) -> Inability {
        match refused(method, error) {
            ClientError::Unable { inability, .. } => inability,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_revert_is_told_from_a_fault_of_the_node() {
        for halt in [
            json!({"code": 3, "message": "execution reverted: GS013", "data": "0x"}),
            json!({"code": -32000, "message": "execution reverted"}),
            json!({"code": -32000, "message": "invalid opcode: INVALID"}),
            json!({"code": -32603, "message": "EVM error InvalidFEOpcode"}),
            json!({"code": -32000, "message": "insufficient funds for transfer"}),
        ] {
            assert!(matches!(refused("eth_call", halt.clone()), ClientError::Reverted { .. }), "{halt}");
        }
        let known = json!({"code": -32000, "message": "already known"});
        assert!(matches!(refused("eth_sendRawTransaction", known), ClientError::Node { .. }));
    }

    #[test]
    fn each_way_in_which_a_node_cannot_say_is_named() {
        for limit in [
            json!({"code": -32005, "message": "limit exceeded"}),
            json!({"code": 429, "message": "Your app has exceeded its compute units per second capacity"}),
            json!({"code": -32016, "message": "over rate limit"}),
            json!({"code": -32029, "message": "too many requests"}),
            json!({"code": -32000, "message": "Too Many Requests"}),
        ] {
            let busy = inability("eth_call", limit.clone());
            assert!(matches!(busy, Inability::Busy { .. }), "{limit}: {busy}");
        }
        for missing in ["header not found", "Unknown block", "block height is 3 but requested was 9: out of range"] {
            let error = json!({"code": -32000, "message": missing});
            assert!(matches!(inability("eth_getBalance", error), Inability::NoBlock(_)), "{missing}");
        }
        for gone in ["missing trie node 1f (path )", "project ID does not have access to archive state"] {
            let error = json!({"code": -32000, "message": gone});
            assert!(matches!(inability("eth_call", error), Inability::Pruned(_)), "{gone}");
        }
        let gone = json!({"code": 4444, "message": "pruned history unavailable"});
        assert!(matches!(inability("eth_getLogs", gone), Inability::Pruned(_)));
        let syncing = json!({"code": -32000, "message": "node is syncing"});
        assert_eq!(inability("eth_call", syncing), Inability::Syncing);
    }

    #[test]
    fn too_many_blocks_are_no_reason_to_wait() {
        for wide in [
            json!({"code": -32005, "message": "query returned more than 10000 results"}),
            json!({"code": -32600, "message": "ranges over 1000 blocks are not supported"}),
            json!({"code": -32602, "message": "eth_getLogs is limited to a 10 block range"}),
            json!({"code": -32000, "message": "exceed maximum block range: 5000"}),
        ] {
            let error = refused("eth_getLogs", wide.clone());
            assert!(wants_fewer_blocks(&error), "{wide}: {error}");
        }
        let busy = refused("eth_getLogs", json!({"code": -32005, "message": "daily request count exceeded"}));
        assert!(!wants_fewer_blocks(&busy), "{busy}");
    }

    #[test]
    fn http_says_later_whatever_the_body() {
        let status = |status| Err(TransportErrorKind::http_error(status, "execution reverted".to_owned()));
        assert_eq!((later(&status(429)), later(&status(502)), later(&status(404))), (Some(None), Some(None), None));
        let wait = Duration::from_secs(7);
        let told = TransportErrorKind::http_error_with_retry_after(503, String::new(), Some(wait));
        assert_eq!(later(&Err(told)), Some(Some(wait)));
    }
}
