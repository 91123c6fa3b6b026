//! The nodes of an EVM chain: what is asked of whichever answers, in their order, and what is asked of all.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::TransactionRequest;
use chain::{Access, ChainId, ClientError};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    call::Call,
    fees::Offer,
    follow::{Follower, View},
    node::Node,
    queue::Execution,
    reads::tag,
    safe::SafeState,
};

/// How often one node is asked the same before its error is told, where there are no others.
const TRIES: u32 = 4;
/// And where there are.
const TRIES_OF_SEVERAL: u32 = 2;

/// The nodes of one chain. What is not said to be agreed is one node's word: the first that answers, in the order in
/// which they are named, those that have just failed last.
pub struct Rpc {
    nodes: Vec<Arc<Node>>,
    /// Take transactions, and answer nothing else.
    private: Vec<Arc<Node>>,
    pub(crate) follower: Follower,
    chain: Option<ChainId>,
    least_tip: u128,
    /// What was offered in the block after that of this name.
    offered: Mutex<Option<(B256, Offer)>>,
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

/// A receipt, as far as it matters here: what else chains put into one differs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mined {
    transaction_hash: B256,
    block_number: U64,
    status: U64,
}

/// What a mined transaction cost.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    gas_used: U64,
}

impl Rpc {
    /// A client of the one node at `url`, `http` or `https`, whatever it serves. Connects at the first request.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::of(&Access::one(url), None)
    }

    /// A client of these nodes. Those that serve another chain than `chain` are never believed.
    pub fn of(access: &Access, chain: Option<ChainId>) -> Result<Self, ClientError> {
        let tries = if access.nodes.len() > 1 { TRIES_OF_SEVERAL } else { TRIES };
        let nodes = access.nodes.iter().map(|url| Node::new(url, tries).map(Arc::new));
        let nodes: Vec<Arc<Node>> = nodes.collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::Url);
        }
        let private = access.private.iter().map(|url| Node::new(url, TRIES_OF_SEVERAL).map(Arc::new));
        let private = private.collect::<Result<_, _>>()?;
        let follower = Follower::new(nodes.clone(), access, chain.clone());
        Ok(Self { nodes, private, follower, chain, least_tip: access.least_tip, offered: Mutex::default() })
    }

    /// Scheme, host and port of the first node: what may be shown of its URL.
    pub fn node(&self) -> &str {
        self.nodes.first().map(|node| node.name.as_str()).unwrap_or_default()
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The newest block of as many nodes as must agree.
    pub(crate) async fn view(&self) -> Result<View, ClientError> {
        self.follower.view().await
    }

    /// The chain that the first node serves, in CAIP-2.
    pub async fn served(&self) -> Result<ChainId, ClientError> {
        let node = self.nodes.first().ok_or(ClientError::Url)?;
        let id: U64 = node.ask("eth_chainId", json!([]), "a chain id").await?;
        Ok(format!("{}:{}", chain_evm::NAMESPACE, id.to::<u64>()).parse()?)
    }

    /// What the first node that can answer says.
    async fn first<T, F>(&self, ask: impl Fn(Arc<Node>) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let (resting, ready): (Vec<_>, Vec<_>) = self.nodes.iter().partition(|node| node.rests());
        let mut last = ClientError::Url;
        for node in ready.into_iter().chain(resting) {
            let answer = async {
                if let Some(chain) = &self.chain {
                    node.verify(chain).await?;
                }
                ask(node.clone()).await
            };
            match answer.await {
                Err(
                    error @ (ClientError::Away { .. }
                    | ClientError::Unable { .. }
                    | ClientError::Malformed { .. }
                    | ClientError::WrongChain { .. }
                    | ClientError::OtherGenesis { .. }),
                ) => {
                    node.failed(&error);
                    last = error;
                }
                other => return other,
            }
        }
        Err(last)
    }

    /// Number of the newest block of as many nodes as must agree.
    pub async fn block_number(&self) -> Result<u64, ClientError> {
        Ok(self.view().await?.block())
    }

    /// Coins of an account, wei; at `block`, or the newest.
    pub async fn balance(&self, account: Address, block: Option<u64>) -> Result<U256, ClientError> {
        self.first(async |node: Arc<Node>| {
            node.ask("eth_getBalance", json!([account.to_string(), at(block)]), "a balance").await
        })
        .await
    }

    /// Number of transactions that an account has had mined.
    pub async fn nonce(&self, account: Address) -> Result<u64, ClientError> {
        self.transactions(account, "latest").await
    }

    /// The same with those that the node knows and nobody has mined yet.
    pub async fn pending_nonce(&self, account: Address) -> Result<u64, ClientError> {
        self.transactions(account, "pending").await
    }

    async fn transactions(&self, account: Address, tag: &str) -> Result<u64, ClientError> {
        self.first(async |node: Arc<Node>| {
            let count: U64 = node.ask("eth_getTransactionCount", json!([account.to_string(), tag]), "a count").await?;
            Ok(count.to())
        })
        .await
    }

    /// What a call by `from` would return, at `block` or the newest; changes nothing.
    pub async fn call(&self, from: Address, call: &Call, block: Option<u64>) -> Result<Bytes, ClientError> {
        self.first(async |node: Arc<Node>| node.call(from, call, block).await).await
    }

    /// Gas that a call by `from` would use after the newest block. Without a block, some nodes first carry out all that
    /// waits in their pool, which is dear and beside the point: each wallet has one transaction under way.
    pub async fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ClientError> {
        self.first(async |node: Arc<Node>| {
            let gas: U64 = node.ask("eth_estimateGas", json!([request(from, call), at(None)]), "gas").await?;
            Ok(gas.to())
        })
        .await
    }

    /// What a transaction should offer in the next block, in the form that the chain takes.
    pub async fn offer(&self) -> Result<Offer, ClientError> {
        let head = self.view().await?.head;
        let offered = || self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((block, offer)) = *offered()
            && block == head.hash
        {
            return Ok(offer);
        }
        let offer = self.first(async |node: Arc<Node>| node.offer(&head, self.least_tip).await).await?;
        *offered() = Some((head.hash, offer));
        Ok(offer)
    }

    /// The least tip that a transaction offers, wei per gas.
    pub(crate) fn least_tip(&self) -> u128 {
        self.least_tip
    }

    /// Whether there are endpoints that show a transaction to nobody.
    pub(crate) fn is_private(&self) -> bool {
        !self.private.is_empty()
    }

    /// Hands a signed transaction to the network; its hash. By all nodes; where there are private endpoints by those, and
    /// by the nodes only `openly`. A node may know it already: that is an error of the node, told where no other takes it.
    pub async fn send_raw(&self, raw: &[u8], openly: bool) -> Result<B256, ClientError> {
        let raw = alloy_primitives::hex::encode_prefixed(raw);
        let nodes = self.nodes.iter().filter(|_| openly || !self.is_private());
        let sent = join_all(self.private.iter().chain(nodes).map(async |node| {
            // What is signed is of one chain; a private endpoint may answer no other question.
            if let Some(chain) = self.chain.as_ref().filter(|_| self.nodes.iter().any(|known| Arc::ptr_eq(known, node)))
            {
                node.verify(chain).await?;
            }
            node.ask("eth_sendRawTransaction", json!([raw]), "a transaction hash").await
        }));
        let (mut refused, mut away) = (None, None);
        for answer in sent.await {
            match answer {
                Ok(hash) => return Ok(hash),
                Err(error @ ClientError::Node { .. }) => refused = refused.or(Some(error)),
                Err(error) => away = away.or(Some(error)),
            }
        }
        Err(refused.or(away).unwrap_or(ClientError::Url))
    }

    /// Whether the node knows a transaction, mined or not.
    pub async fn knows(&self, tx: B256) -> Result<bool, ClientError> {
        self.first(async |node: Arc<Node>| {
            let found: Value = node.ask("eth_getTransactionByHash", json!([tx.to_string()]), "a transaction").await?;
            Ok(!found.is_null())
        })
        .await
    }

    /// The receipt of a transaction, once it is mined.
    pub async fn receipt(&self, tx: B256) -> Result<Option<Receipt>, ClientError> {
        self.first(async |node: Arc<Node>| {
            let mined: Option<Mined> =
                node.ask("eth_getTransactionReceipt", json!([tx.to_string()]), "a receipt").await?;
            Ok(mined.map(|mined| Receipt {
                tx: mined.transaction_hash,
                block: mined.block_number.to(),
                success: mined.status.to::<u64>() == 1,
            }))
        })
        .await
    }

    /// Gas that a mined transaction used; `None`: it is in no block.
    pub(crate) async fn gas_used(&self, tx: B256) -> Result<Option<u64>, ClientError> {
        self.first(async |node: Arc<Node>| {
            let used: Option<Used> =
                node.ask("eth_getTransactionReceipt", json!([tx.to_string()]), "a receipt").await?;
            Ok(used.map(|used| used.gas_used.to()))
        })
        .await
    }

    /// State of the Safe at `safe`, with its balances of `tokens`, at the newest block of as many nodes as must agree:
    /// they say the same.
    pub async fn safe(&self, safe: Address, tokens: &[Address]) -> Result<SafeState, ClientError> {
        let view = self.view().await?;
        view.agreed("a wallet's state", |node| node.safe(safe, tokens, view.block()), SafeState::same).await
    }

    /// Everything that the Safe executed at or after block `from`, oldest first, as many nodes as must agree say it of
    /// their newest block: one entry per nonce used. Fewer entries than nonces used mean that a node has not indexed
    /// them yet.
    pub async fn executions(&self, safe: Address, from: u64) -> Result<Vec<Execution>, ClientError> {
        let view = self.view().await?;
        let blocks = (from, view.block());
        let ask = async |node: Arc<Node>| node.executions(safe, u64::MAX, blocks).await;
        view.agreed("a wallet's executions", ask, |one, other| one == other).await
    }
}

impl Node {
    /// What a call by `from` would return, at `block` or the newest; changes nothing.
    pub(crate) async fn call(&self, from: Address, call: &Call, block: Option<u64>) -> Result<Bytes, ClientError> {
        self.ask("eth_call", json!([request(from, call), at(block)]), "bytes").await
    }

    /// Code of an account: empty where there is no contract (yet).
    pub(crate) async fn code(&self, account: Address, block: Option<u64>) -> Result<Bytes, ClientError> {
        self.ask("eth_getCode", json!([account.to_string(), at(block)]), "code").await
    }
}

fn at(block: Option<u64>) -> String {
    block.map_or_else(|| "latest".to_owned(), tag)
}

pub(crate) fn request(from: Address, call: &Call) -> TransactionRequest {
    TransactionRequest::default().from(from).to(call.to).value(call.value).input(call.data.clone().into())
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
        let error = rpc(&format!("http://{closed}/secret")).served().await.unwrap_err();
        assert!(matches!(error, ClientError::Away { method: "eth_chainId", .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
