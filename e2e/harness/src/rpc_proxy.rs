//! A way to an EVM node on which the node misbehaves: [`RpcProxy`] speaks JSON-RPC on loopback, asks a real node, and
//! does with requests and answers what its rules say.
//!
//! ```no_run
//! # async fn example(anvil: harness::evm::Anvil) -> anyhow::Result<()> {
//! use harness::rpc_proxy::{Fault, RpcProxy, Rule};
//! use serde_json::json;
//!
//! let proxy = RpcProxy::start(&anvil.url()).await?;
//! // Point the program under test at proxy.url(). Without rules the node is as it is.
//! proxy.rule(Rule::on("eth_call").each(7).does(Fault::error(-32005, "limit exceeded")));
//! let busy = proxy.rule(Rule::any().times(2).does(Fault::status(429, "slow down", &[("retry-after", "1")])));
//! proxy.rule(Rule::on("eth_getLogs").does(Fault::alter(|_params, result| *result = json!([]))));
//! proxy.remove(busy); // or proxy.clear()
//! proxy.behind(Some(1)); // answers as the node would have one block ago
//! proxy.log_range(Some(1_000)); // refuses wider eth_getLogs as providers do
//! assert_eq!(proxy.count("eth_getLogs"), 0); // each item of a batch counts
//! # Ok(()) }
//! ```
//!
//! A [`Rule`] holds for one method or for all, and may be narrowed: each nth match ([`Rule::each`]), the first n
//! matches ([`Rule::times`]), while the node's newest block is in a range ([`Rule::blocks`]), only for some parameters
//! ([`Rule::when`]). Rules are tried in the order in which they were made; each that matches does its [`Fault`]: a
//! delay or an alteration lets the next ones have their turn, anything else ends the request. A fault of the connection or of
//! HTTP in one item of a JSON-RPC batch befalls the whole batch. [`RpcProxy::node`] changes the node behind the proxy,
//! for a chain that becomes another.
//!
//! Counts are of requests that reached the proxy, faulty ones too; what the proxy itself asks the node is not counted.

mod history;
mod rule;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{Response, StatusCode, header::CONTENT_TYPE},
};
use futures::{future::join_all, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub use rule::{Fault, Rule, RuleId};

use crate::tls;

/// The proxy; it and its connections end when this is dropped.
pub struct RpcProxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    http: reqwest::Client,
    state: Mutex<Behaviour>,
}

#[derive(Default)]
struct Behaviour {
    node: String,
    rules: Vec<(RuleId, Arc<Rule>)>,
    made: u64,
    behind: Option<u64>,
    log_range: Option<u64>,
    no_batches: bool,
    counts: BTreeMap<String, u64>,
    posts: u64,
}

/// What befalls a whole HTTP request.
enum Broken {
    Dropped,
    Status(u16, String, Vec<(String, String)>),
}

impl RpcProxy {
    /// Listens on a free port before the node at `node`.
    pub async fn start(node: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let state = Mutex::new(Behaviour { node: node.to_owned(), ..Behaviour::default() });
        let shared = Arc::new(Shared { http: tls::plain_client()?, state });
        let port = listener.local_addr()?.port();
        // What is too large is the node's to say.
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // Ends only with the listener.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, shared, task })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The node is this one from now on.
    pub fn node(&self, url: &str) {
        self.shared.state().node = url.to_owned();
    }

    /// One more rule, after those that are there.
    pub fn rule(&self, rule: Rule) -> RuleId {
        let mut state = self.shared.state();
        state.made += 1;
        let id = RuleId(state.made);
        state.rules.push((id, Arc::new(rule)));
        id
    }

    /// The rule is no longer there; requests that it stalls stay stalled.
    pub fn remove(&self, id: RuleId) {
        self.shared.state().rules.retain(|(made, _)| *made != id);
    }

    /// The node is as it is: without rules, at its newest block, without limit.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        (state.behind, state.log_range, state.no_batches) = (None, None, false);
    }

    /// Answers as of so many blocks ago: newest block, state, logs, receipts. What the node does not have at that
    /// block it does not have; transactions are still sent on.
    pub fn behind(&self, blocks: Option<u64>) {
        self.shared.state().behind = blocks;
    }

    /// Refuses `eth_getLogs` over more than so many blocks.
    pub fn log_range(&self, blocks: Option<u64>) {
        self.shared.state().log_range = blocks;
    }

    /// Refuses batches of requests, or takes them.
    pub fn refuse_batches(&self, refuse: bool) {
        self.shared.state().no_batches = refuse;
    }

    /// Requests of a method since the start or [`RpcProxy::reset`].
    pub fn count(&self, method: &str) -> u64 {
        self.shared.state().counts.get(method).copied().unwrap_or_default()
    }

    /// Requests by method, each item of a batch counted.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.state().counts.clone()
    }

    /// All requests, each item of a batch counted.
    pub fn total(&self) -> u64 {
        self.shared.state().counts.values().sum()
    }

    /// HTTP requests: a batch is one.
    pub fn posts(&self) -> u64 {
        self.shared.state().posts
    }

    /// Counts from zero.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.counts.clear();
        state.posts = 0;
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Behaviour> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn item(&self, request: Value) -> Result<Value, Broken> {
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        let rules: Vec<Arc<Rule>> = {
            let mut state = self.state();
            *state.counts.entry(method.clone()).or_default() += 1;
            state.rules.iter().map(|(_, rule)| rule.clone()).collect()
        };
        let answered = |member: &str, value: Value| json!({"jsonrpc": "2.0", "id": request["id"], member: value});
        let mut after = Vec::new();
        for rule in rules {
            let newest = if rule.wants_block() { self.newest().await } else { 0 };
            match rule.takes(&method, &request["params"], newest) {
                None => {}
                Some(Fault::Delay(wait)) => tokio::time::sleep(*wait).await,
                Some(Fault::Stall) => std::future::pending().await,
                Some(Fault::Drop) => return Err(Broken::Dropped),
                Some(Fault::Status(status, body, headers)) => {
                    return Err(Broken::Status(*status, body.clone(), headers.clone()));
                }
                Some(Fault::Error(error)) => return Ok(answered("error", error.clone())),
                Some(Fault::Answer(result)) => return Ok(answered("result", result.clone())),
                Some(Fault::Respond(respond)) => {
                    if let Some(result) = respond(&request["params"]) {
                        return Ok(answered("result", result));
                    }
                }
                Some(Fault::Alter(_) | Fault::LoseAnswer) => after.push(rule),
            }
        }
        let mut answer = match self.history(request.clone()).await {
            Ok(answer) => answer,
            Err(error) => {
                let message = format!("the node behind the proxy: {error:#}");
                return Err(Broken::Status(502, message, Vec::new()));
            }
        };
        for rule in after {
            match rule.fault() {
                Fault::Alter(alter) => {
                    if let Some(result) = answer.get_mut("result") {
                        alter(&request["params"], result);
                    }
                }
                _ => return Err(Broken::Dropped),
            }
        }
        Ok(answer)
    }

    /// Asks the node itself.
    async fn forward(&self, request: &Value) -> Result<Value> {
        let node = self.state().node.clone();
        let answer = self.http.post(node).json(request).send().await?;
        answer.json().await.context("the node's answer is not JSON")
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = self.forward(&request).await?;
        ensure!(answer.get("error").is_none(), "{method}: {answer}");
        Ok(answer["result"].take())
    }

    /// The number of the node's newest block, 0 while it is away.
    async fn newest(&self) -> u64 {
        let newest = self.ask("eth_blockNumber", json!([])).await;
        newest.ok().as_ref().and_then(history::number).unwrap_or_default()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    shared.state().posts += 1;
    let answered = match serde_json::from_slice(&body) {
        Ok(Value::Array(_)) if shared.state().no_batches => {
            let error = json!({"code": -32600, "message": "batch requests are not supported"});
            Ok(json!({"jsonrpc": "2.0", "id": null, "error": error}))
        }
        Ok(Value::Array(items)) => {
            let items = join_all(items.into_iter().map(|item| shared.item(item))).await;
            items.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Ok(request) => shared.item(request).await,
        Err(error) => Err(Broken::Status(400, error.to_string(), Vec::new())),
    };
    let broken = match answered {
        Ok(answer) => {
            let mut response = Response::new(Body::from(answer.to_string()));
            response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
            return response;
        }
        Err(broken) => broken,
    };
    match broken {
        // A body that fails ends the connection.
        Broken::Dropped => {
            let cut = std::io::Error::other("the connection is dropped");
            Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(cut)])))
        }
        Broken::Status(status, body, headers) => {
            let response = Response::builder().status(status);
            let response = headers.iter().fold(response, |response, (name, value)| response.header(name, value));
            response.body(Body::from(body)).unwrap_or_else(|_| {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            })
        }
    }
}
