//! Ethereum JSON-RPC over HTTP: the dozen methods that wallets need.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use chain::{ChainError, ChainId, ClientError, Head};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    quantity::{address, bytes, hash, quantity, small, wei_per_gas, word},
    revert::Revert,
};

/// Time for one request, with its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at a time to one node.
const CONCURRENCY: usize = 16;
/// Largest answer that is read, bytes.
const LONGEST_ANSWER: usize = 16 << 20;
/// Blocks asked for in one `eth_getLogs`: within every provider's limit known to us.
pub(crate) const LOG_RANGE: u64 = 2_000;
/// Tip when blocks are so empty that nobody tips: the least that geth's miners take, wei per gas.
const LEAST_TIP: u128 = 1_000_000;

alloy_sol_types::sol! {
    function balanceOf(address owner) returns (uint256);
}

/// A client of one node.
pub struct Rpc {
    http: reqwest::Client,
    url: reqwest::Url,
    node: String,
    permits: Semaphore,
    next_id: AtomicU64,
}

/// A message call, for `eth_call` and for the relayer's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract or account called.
    pub to: Address,
    /// Coins sent along, wei.
    pub value: U256,
    /// ABI-encoded arguments.
    pub data: Bytes,
}

impl TryFrom<&chain::Call> for Call {
    type Error = ChainError;

    fn try_from(call: &chain::Call) -> Result<Self, ChainError> {
        let to = call.to.parse().map_err(|_| ChainError::Address(call.to.clone()))?;
        Ok(Self { to, value: U256::ZERO, data: call.data.clone().into() })
    }
}

/// What a transaction offers for its gas (EIP-1559), wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// The most paid altogether.
    pub max: u128,
    /// The tip in it.
    pub tip: u128,
}

impl Fees {
    /// From `eth_feeHistory`: room for the base fee to double, and the median of recent tips.
    fn from_history(next_base_fee: u128, mut tips: Vec<u128>) -> Self {
        tips.sort_unstable();
        let tip = tips.get(tips.len() / 2).copied().unwrap_or_default().max(LEAST_TIP);
        Self { max: next_base_fee.saturating_mul(2).saturating_add(tip), tip }
    }
}

/// A mined transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its hash.
    pub tx: B256,
    /// Number of the block.
    pub block: u64,
    /// False: it reverted and only cost gas.
    pub success: bool,
}

/// An entry of `eth_getLogs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// The transaction that emitted it.
    pub(crate) tx: B256,
    /// Number of the block.
    pub(crate) block: u64,
    /// Signature hash of the event, then its indexed arguments.
    pub(crate) topics: Vec<B256>,
}

impl Rpc {
    /// A client of the node at `url`, `http` or `https`. Connects at the first request.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url: reqwest::Url = url.parse().map_err(|_| ClientError::Url)?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or(ClientError::Url)?;
        let node = match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        };
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClientError::Away { method: "connect", node: node.clone(), reason: chain(&error) })?;
        Ok(Self { http, url, node, permits: Semaphore::new(CONCURRENCY), next_id: AtomicU64::new(1) })
    }

    /// Scheme, host and port: what may be shown of the URL.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// EIP-155 id of the chain that the node serves.
    pub async fn chain_id(&self) -> Result<u64, ClientError> {
        self.ask("eth_chainId", json!([]), "a chain id", small).await
    }

    /// The same in CAIP-2.
    pub async fn served(&self) -> Result<ChainId, ClientError> {
        Ok(format!("{}:{}", chain_evm::NAMESPACE, self.chain_id().await?).parse()?)
    }

    /// Refuses a node that serves another chain than `expected`.
    pub async fn expect_chain(&self, expected: &ChainId) -> Result<(), ClientError> {
        match self.served().await? {
            found if found == *expected => Ok(()),
            found => Err(ClientError::WrongChain { node: self.node.clone(), expected: expected.clone(), found }),
        }
    }

    /// Number of the newest block.
    pub async fn block_number(&self) -> Result<u64, ClientError> {
        self.ask("eth_blockNumber", json!([]), "a block number", small).await
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Head, ClientError> {
        self.ask("eth_getBlockByNumber", json!(["latest", false]), "a block", |block| {
            let (number, time) = (small(&block["number"])?, small(&block["timestamp"])?);
            Some(Head { number, id: hash(&block["hash"])?.to_string(), time })
        })
        .await
    }

    /// Number of the newest block that the chain itself calls final.
    pub async fn finalized(&self) -> Result<u64, ClientError> {
        let params = json!(["finalized", false]);
        self.ask("eth_getBlockByNumber", params, "a block", |block| small(&block["number"])).await
    }

    /// Coins of an account, wei; at `block`, or the newest.
    pub async fn balance(&self, account: Address, block: Option<u64>) -> Result<U256, ClientError> {
        self.ask("eth_getBalance", json!([account.to_string(), tag(block)]), "a balance", quantity).await
    }

    /// Code of an account: empty where there is no contract (yet).
    pub async fn code(&self, account: Address, block: Option<u64>) -> Result<Bytes, ClientError> {
        self.ask("eth_getCode", json!([account.to_string(), tag(block)]), "code", bytes).await
    }

    /// Number of transactions that an account has had mined.
    pub async fn nonce(&self, account: Address) -> Result<u64, ClientError> {
        self.ask("eth_getTransactionCount", json!([account.to_string(), "latest"]), "a count", small).await
    }

    /// The same with those that the node knows and nobody has mined yet.
    pub async fn pending_nonce(&self, account: Address) -> Result<u64, ClientError> {
        self.ask("eth_getTransactionCount", json!([account.to_string(), "pending"]), "a count", small).await
    }

    /// What a call by `from` would return, at `block` or the newest; changes nothing.
    pub async fn call(&self, from: Address, call: &Call, block: Option<u64>) -> Result<Bytes, ClientError> {
        self.ask("eth_call", json!([call_json(from, call), tag(block)]), "bytes", bytes).await
    }

    /// Gas that a call by `from` would use.
    pub async fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ClientError> {
        self.ask("eth_estimateGas", json!([call_json(from, call)]), "gas", small).await
    }

    /// Units of an ERC-20 token that `owner` has, at `block` or the newest.
    pub async fn erc20_balance(&self, token: Address, owner: Address, block: Option<u64>) -> Result<U256, ClientError> {
        let data = Bytes::from(alloy_sol_types::SolCall::abi_encode(&balanceOfCall { owner }));
        let answer = self.call(owner, &Call { to: token, value: U256::ZERO, data }, block).await?;
        word(&answer).ok_or_else(|| self.malformed("eth_call", "an ERC-20 balance"))
    }

    /// What a transaction should offer now.
    pub async fn fees(&self) -> Result<Fees, ClientError> {
        let history = self.ask("eth_feeHistory", json!(["0x5", "latest", [50]]), "a fee history", fee_history).await;
        match history {
            Err(ClientError::Node { .. }) => {
                let price = self.ask("eth_gasPrice", json!([]), "a price", wei_per_gas).await?;
                Ok(Fees { max: price.saturating_mul(2), tip: price })
            }
            other => other,
        }
    }

    /// Hands a signed transaction to the network; its hash. The node may know it already: that is an error of the node.
    pub async fn send_raw(&self, raw: &[u8]) -> Result<B256, ClientError> {
        self.ask("eth_sendRawTransaction", json!([hex::encode_prefixed(raw)]), "a transaction hash", hash).await
    }

    /// Whether the node knows a transaction, mined or not.
    pub async fn knows(&self, tx: B256) -> Result<bool, ClientError> {
        let params = json!([tx.to_string()]);
        self.ask("eth_getTransactionByHash", params, "a transaction", |value| Some(!value.is_null())).await
    }

    /// The receipt of a transaction, once it is mined.
    pub async fn receipt(&self, tx: B256) -> Result<Option<Receipt>, ClientError> {
        self.ask("eth_getTransactionReceipt", json!([tx.to_string()]), "a receipt", |value| match value {
            Value::Null => Some(None),
            _ => Some(Some(Receipt {
                tx: hash(&value["transactionHash"])?,
                block: small(&value["blockNumber"])?,
                success: small(&value["status"])? == 1,
            })),
        })
        .await
    }

    /// Events of `contract` in blocks `from` to `to` (at most [`LOG_RANGE`] of them), where the first topic is one of
    /// `events` and the second, if given, is `argument`.
    pub(crate) async fn logs(
        &self,
        contract: Address,
        events: &[B256],
        argument: Option<B256>,
        (from, to): (u64, u64),
    ) -> Result<Vec<Log>, ClientError> {
        let mut topics = vec![json!(events.iter().map(B256::to_string).collect::<Vec<_>>())];
        topics.extend(argument.map(|argument| json!(argument.to_string())));
        let filter = json!([{
            "address": contract.to_string(),
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{to:#x}"),
            "topics": topics,
        }]);
        self.ask("eth_getLogs", filter, "logs", |value| log_entries(value, contract)).await
    }

    pub(crate) async fn ask<T>(
        &self,
        method: &'static str,
        params: Value,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, ClientError> {
        let result = self.post(method, params).await?;
        read(&result).ok_or_else(|| self.malformed(method, expected))
    }

    async fn post(&self, method: &'static str, params: Value) -> Result<Value, ClientError> {
        let _permit = self.permits.acquire().await.map_err(|_| self.away(method, "the client is closed"))?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let response = self.http.post(self.url.clone()).json(&request).send().await;
        let mut response = response.map_err(|error| self.away(method, &chain(&error.without_url())))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) =
            response.chunk().await.map_err(|error| self.away(method, &chain(&error.without_url())))?
        {
            if body.len() + part.len() > LONGEST_ANSWER {
                return Err(self.malformed(method, "an answer of bearable length"));
            }
            body.extend_from_slice(&part);
        }
        // Some nodes put a JSON-RPC error into a 4xx answer: the body says more than the status.
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) if answer.get("error").is_some_and(|error| error.is_object()) => {
                Err(self.refused(method, &answer["error"]))
            }
            Ok(mut answer) if status.is_success() => {
                answer.get_mut("result").map(Value::take).ok_or_else(|| self.malformed(method, "a result"))
            }
            _ if status.is_success() => Err(self.malformed(method, "JSON")),
            _ => Err(self.away(method, &format!("HTTP status {status}"))),
        }
    }

    fn refused(&self, method: &'static str, error: &Value) -> ClientError {
        let code = error["code"].as_i64().unwrap_or_default();
        let message: String =
            error["message"].as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).take(300).collect();
        let data = bytes(&error["data"]).or_else(|| bytes(&error["data"]["data"])).unwrap_or_default();
        if matches!(method, "eth_call" | "eth_estimateGas") && is_revert(code, &message, &data) {
            return ClientError::Reverted { method, reason: Revert::new(data, &message).to_string() };
        }
        ClientError::Node { method, node: self.node.clone(), code, message }
    }

    fn away(&self, method: &'static str, reason: &str) -> ClientError {
        ClientError::Away { method, node: self.node.clone(), reason: reason.to_owned() }
    }

    pub(crate) fn malformed(&self, method: &'static str, expected: &'static str) -> ClientError {
        ClientError::Malformed { method, node: self.node.clone(), expected, interface: "Ethereum JSON-RPC" }
    }
}

/// Nodes have no common code for "the code of the chain refuses": 3 in geth and anvil, -32015 in others, -32000 with
/// words for exceptional halts. A halt must not look like a fault of the node, or it would be tried for ever.
fn is_revert(code: i64, message: &str, data: &Bytes) -> bool {
    let message = message.to_ascii_lowercase();
    let halts =
        ["revert", "invalid opcode", "invalidfeopcode", "out of gas", "outofgas", "evm error", "execution error"];
    code == 3 || code == -32015 || !data.is_empty() || halts.iter().any(|words| message.contains(words))
}

fn tag(block: Option<u64>) -> String {
    block.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"))
}

fn call_json(from: Address, call: &Call) -> Value {
    json!({
        "from": from.to_string(),
        "to": call.to.to_string(),
        "value": format!("{:#x}", call.value),
        "data": call.data.to_string(),
    })
}

fn fee_history(value: &Value) -> Option<Fees> {
    let base_fee = wei_per_gas(value["baseFeePerGas"].as_array()?.last()?)?;
    let tips = value["reward"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tips: Option<Vec<_>> = tips.iter().map(|block| wei_per_gas(&block[0])).collect();
    Some(Fees::from_history(base_fee, tips?))
}

fn log_entries(value: &Value, contract: Address) -> Option<Vec<Log>> {
    let entries = value.as_array()?.iter().map(|entry| {
        let topics: Option<Vec<_>> = entry["topics"].as_array()?.iter().map(hash).collect();
        let log = Log { tx: hash(&entry["transactionHash"])?, block: small(&entry["blockNumber"])?, topics: topics? };
        (address(&entry["address"])? == contract).then_some(log)
    });
    entries.collect()
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(url: &str) -> Rpc {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Rpc::new(url).unwrap()
    }

    #[test]
    fn only_http_urls_are_taken() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        for url in ["", "127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"] {
            assert!(matches!(Rpc::new(url), Err(ClientError::Url)), "{url}");
        }
    }

    #[test]
    fn a_key_in_the_url_is_never_shown() {
        let rpc = rpc("https://user:secret@node.example/v3/secret?key=secret");
        assert_eq!(rpc.node(), "https://node.example");
    }

    #[tokio::test]
    async fn a_node_that_is_away_is_its_own_kind_of_error() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = rpc(&format!("http://{closed}/secret")).chain_id().await.unwrap_err();
        assert!(matches!(error, ClientError::Away { method: "eth_chainId", .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_revert_is_told_from_a_fault_of_the_node() {
        let rpc = rpc("http://127.0.0.1:1");
        let refused = |method, error: Value| rpc.refused(method, &error);
        for halt in [
            json!({"code": 3, "message": "execution reverted: GS013", "data": "0x"}),
            json!({"code": -32000, "message": "execution reverted"}),
            json!({"code": -32000, "message": "invalid opcode: INVALID"}),
            json!({"code": -32603, "message": "EVM error InvalidFEOpcode"}),
        ] {
            assert!(matches!(refused("eth_call", halt.clone()), ClientError::Reverted { .. }), "{halt}");
        }
        for fault in [json!({"code": -32005, "message": "limit exceeded"}), json!({"message": "header not found"})] {
            assert!(matches!(refused("eth_call", fault.clone()), ClientError::Node { .. }), "{fault}");
        }
        let known = json!({"code": -32000, "message": "already known"});
        assert!(matches!(refused("eth_sendRawTransaction", known), ClientError::Node { .. }));
    }

    #[test]
    fn fees_leave_room_for_the_base_fee_to_double() {
        assert_eq!(Fees::from_history(100, vec![5_000_000, 1, 3_000_000]), Fees { max: 3_000_200, tip: 3_000_000 });
        assert_eq!(Fees::from_history(7, vec![]), Fees { max: LEAST_TIP + 14, tip: LEAST_TIP });
        assert_eq!(Fees::from_history(u128::MAX, vec![0]).max, u128::MAX);
    }

    #[test]
    fn logs_of_another_contract_are_not_believed() {
        let zero = B256::ZERO.to_string();
        let entry = json!([{"address": Address::ZERO.to_string(), "transactionHash": zero, "blockNumber": "0x1", "topics": [zero]}]);
        assert_eq!(log_entries(&entry, Address::ZERO).map(|logs| logs.len()), Some(1));
        assert_eq!(log_entries(&entry, Address::repeat_byte(1)), None);
    }
}
