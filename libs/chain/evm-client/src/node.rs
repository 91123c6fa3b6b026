//! One node: what it is asked, one request or a batch of them, and what is known of it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_json_rpc::{RpcError, RpcRecv};
use alloy_primitives::{B256, U64, U128};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind};
use chain::{ChainId, ClientError, Head, Inability};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    fault::{self, malformed},
    queue::{Queue, Search, Waiting, Wanted},
    transport::{Patient, words},
    window::Window,
};

/// Values in one call at most, where many are wanted: some 600 KB of request.
const MOST_IN_BULK: usize = 3_000;
/// Requests in one POST.
const MOST_IN_BATCH: usize = 100;
/// How long a chain that was verified is taken to be the same.
const VERIFIED: Duration = Duration::from_secs(60);
/// How long a node that has failed is asked only where others don't suffice.
const REST: Duration = Duration::from_secs(15);

/// One node of a chain.
pub(crate) struct Node {
    client: RpcClient,
    /// Scheme, host and port.
    pub(crate) name: String,
    /// It has refused a batch: it is asked one by one.
    one_by_one: AtomicBool,
    /// Reads of state that wait for each other.
    pub(crate) reads: Queue<Waiting>,
    /// Searches of logs that wait for each other.
    pub(crate) searches: Queue<Search>,
    /// Questions for receipts that wait for each other.
    pub(crate) receipts: Queue<Wanted>,
    /// How many blocks it is asked about in one `eth_getLogs`.
    pub(crate) window: Mutex<Window>,
    /// Whether the chain has the Multicall3 that everybody knows.
    pub(crate) multicall: OnceCell<bool>,
    /// How many values it is asked for in one call, where many are wanted: less once it has refused more.
    pub(crate) in_call: AtomicUsize,
    known: Mutex<Known>,
}

/// What is known of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Its newest block when it was last asked.
    pub(crate) head: Option<Header>,
    /// Why it could not be used then.
    pub(crate) trouble: Option<String>,
    /// Its first block.
    genesis: Option<B256>,
    verified: Option<Instant>,
    failed: Option<Instant>,
    /// When its newest block went back.
    pub(crate) went_back: Option<Instant>,
}

/// A block, as far as it matters here: what else chains put into one differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    number: U64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    timestamp: U64,
    /// Absent before EIP-1559.
    base_fee_per_gas: Option<U128>,
    gas_limit: Option<U64>,
}

impl Header {
    pub(crate) fn number(&self) -> u64 {
        self.number.to()
    }

    /// Unix seconds.
    pub(crate) fn time(&self) -> u64 {
        self.timestamp.to()
    }

    /// Wei per gas.
    pub(crate) fn base_fee(&self) -> Option<u128> {
        self.base_fee_per_gas.map(|fee| fee.to())
    }

    /// The most gas of all its transactions; `None`: it does not say.
    pub(crate) fn gas_limit(&self) -> Option<u64> {
        self.gas_limit.map(|gas| gas.to())
    }

    pub(crate) fn head(&self) -> Head {
        Head { number: self.number(), id: self.hash.to_string(), time: self.time() }
    }
}

impl Node {
    /// The node at `url`, `http` or `https`. Connects at the first request.
    pub(crate) fn new(url: &str, tries: u32) -> Result<Self, ClientError> {
        let url: reqwest::Url = url.parse().map_err(|_| ClientError::Url)?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or(ClientError::Url)?;
        let name = match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        };
        let away =
            |error: reqwest::Error| ClientError::Away { method: "connect", node: name.clone(), reason: words(&error) };
        let client = RpcClient::new(Patient::new(url, tries).map_err(away)?, false);
        Ok(Self {
            client,
            name,
            one_by_one: AtomicBool::new(false),
            reads: Queue::default(),
            searches: Queue::default(),
            receipts: Queue::default(),
            window: Mutex::default(),
            multicall: OnceCell::new(),
            in_call: AtomicUsize::new(MOST_IN_BULK),
            known: Mutex::default(),
        })
    }

    /// One request.
    pub(crate) async fn ask<T: RpcRecv>(
        &self,
        method: &'static str,
        params: Value,
        expected: &'static str,
    ) -> Result<T, ClientError> {
        let answer = self.client.request(method, params).await;
        answer.map_err(|error| self.fault(method, expected, error))
    }

    /// Several requests, in one POST where the node takes it; an answer or an error for each.
    pub(crate) async fn batch(&self, asked: &[(&'static str, Value)]) -> Vec<Result<Value, ClientError>> {
        let parts = asked.chunks(MOST_IN_BATCH).map(async |part| {
            let posted = match part.len() > 1 && !self.one_by_one.load(Ordering::Relaxed) {
                true => self.posted(part).await,
                false => vec![None; part.len()],
            };
            // What the node had no time for among others may find it alone.
            let answers = part.iter().zip(posted).map(async |((method, params), answer)| match answer {
                Some(answer) => answer,
                None => self.ask(method, params.clone(), "a value").await,
            });
            join_all(answers).await
        });
        join_all(parts).await.into_iter().flatten().collect()
    }

    /// One POST. `None`: the node does not take this one in a batch.
    async fn posted(&self, asked: &[(&'static str, Value)]) -> Vec<Option<Result<Value, ClientError>>> {
        let mut batch = self.client.new_batch();
        let added: Result<Vec<_>, _> =
            asked.iter().map(|(method, params)| batch.add_call::<Value, Value>(*method, params)).collect();
        let Ok(waiters) = added else { return vec![None; asked.len()] };
        if let Err(error) = batch.send().await {
            let refused = matches!(&error, RpcError::Transport(TransportErrorKind::HttpError(http))
                if http.status != 429 && http.status < 500);
            let method = asked.first().map_or("batch", |(method, _)| method);
            return match self.fault(method, "a batch of answers", error) {
                ClientError::Unable { inability: Inability::Busy { .. }, .. } => vec![None; asked.len()],
                fault if refused || matches!(fault, ClientError::Node { .. } | ClientError::Malformed { .. }) => {
                    self.one_by_one.store(true, Ordering::Relaxed);
                    vec![None; asked.len()]
                }
                fault => vec![Some(Err(fault)); asked.len()],
            };
        }
        let answers = asked.iter().zip(waiters).map(async |((method, _), waiter)| {
            match waiter.await.map_err(|error| self.fault(method, "a value", error)) {
                Err(ClientError::Unable { inability: Inability::Busy { .. }, .. }) => None,
                answer => Some(answer),
            }
        });
        join_all(answers).await
    }

    fn fault(&self, method: &'static str, expected: &'static str, error: TransportError) -> ClientError {
        fault::fault(method, &self.name, expected, error)
    }

    pub(crate) fn malformed(&self, method: &'static str, expected: &'static str) -> ClientError {
        malformed(method, self.name.clone(), expected)
    }

    pub(crate) fn unable(&self, method: &'static str, inability: Inability) -> ClientError {
        ClientError::Unable { method, node: self.name.clone(), inability }
    }

    /// The block with this number or tag.
    pub(crate) async fn header(&self, block: Value) -> Result<Header, ClientError> {
        let method = "eth_getBlockByNumber";
        let found: Option<Header> = self.ask(method, json!([block, false]), "a block").await?;
        let words = || format!("block {}", block.as_str().unwrap_or_default());
        found.ok_or_else(|| self.unable(method, Inability::NoBlock(words())))
    }

    /// Refuses a node of another chain, of another first block than before, or one that is still syncing; asked again
    /// after a while, and after each failure.
    pub(crate) async fn verify(&self, chain: &ChainId) -> Result<(), ClientError> {
        if self.known().verified.is_some_and(|at| at.elapsed() < VERIFIED) {
            return Ok(());
        }
        let asked =
            [("eth_chainId", json!([])), ("eth_syncing", json!([])), ("eth_getBlockByNumber", json!(["0x0", false]))];
        let mut answers = self.batch(&asked).await.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(self.malformed("eth_chainId", "three answers")));
        let (id, syncing, first) = (next()?, next(), next());
        let id: U64 = serde_json::from_value(id).map_err(|_| self.malformed("eth_chainId", "a chain id"))?;
        let found: ChainId = format!("{}:{}", chain_evm::NAMESPACE, id.to::<u64>()).parse()?;
        if found != *chain {
            return Err(ClientError::WrongChain { node: self.name.clone(), expected: chain.clone(), found });
        }
        match syncing {
            Ok(Value::Bool(false)) | Err(ClientError::Node { .. }) => {}
            Ok(_) => return Err(self.unable("eth_syncing", Inability::Syncing)),
            Err(error) => return Err(error),
        }
        // A node that keeps no old blocks does not tell its first.
        let first = match first {
            Ok(block) => block["hash"].as_str().and_then(|hash| hash.parse::<B256>().ok()),
            Err(ClientError::Node { .. } | ClientError::Unable { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut known = self.known();
        if let (Some(expected), Some(found)) = (known.genesis, first)
            && expected != found
        {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(ClientError::OtherGenesis { node: self.name.clone(), expected, found });
        }
        known.genesis = known.genesis.or(first);
        known.verified = Some(Instant::now());
        Ok(())
    }

    /// The chain is verified again before the next answer is believed.
    pub(crate) fn doubt(&self) {
        self.known().verified = None;
    }

    /// It has failed: others are asked first for a while.
    pub(crate) fn failed(&self, error: &ClientError) {
        let mut known = self.known();
        (known.failed, known.verified) = (Some(Instant::now()), None);
        known.trouble = Some(error.to_string());
    }

    /// It has answered.
    pub(crate) fn answered(&self) {
        let mut known = self.known();
        (known.failed, known.trouble) = (None, None);
    }

    /// Whether others are to be asked first.
    pub(crate) fn rests(&self) -> bool {
        self.known().failed.is_some_and(|at| at.elapsed() < REST)
    }

    pub(crate) fn genesis(&self) -> Option<B256> {
        self.known().genesis
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
