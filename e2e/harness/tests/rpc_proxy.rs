//! Promises of the proxy before an EVM node.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use harness::{
    Options,
    evm::Anvil,
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

const SOMEBODY: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

async fn post(proxy: &RpcProxy, body: Value) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new().post(proxy.url()).json(&body).send().await
}

async fn ask(proxy: &RpcProxy, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let mut answer: Value = post(proxy, body).await.unwrap().json().await.unwrap();
    assert_eq!(answer["id"], 7);
    match answer.get("error") {
        Some(error) => error.clone(),
        None => answer["result"].take(),
    }
}

#[tokio::test]
async fn a_real_node_misbehaves_as_it_is_told() {
    let anvil = Anvil::start(31_337, Options::default()).await.unwrap();
    let proxy = RpcProxy::start(&anvil.url()).await.unwrap();
    let chain = async || ask(&proxy, "eth_chainId", json!([])).await;
    assert_eq!(chain().await, "0x7a69");

    // Refused, altered, delayed, by rate.
    let rule = proxy.rule(Rule::on("eth_chainId").each(2).does(Fault::error(-32005, "limit exceeded")));
    assert_eq!((chain().await, chain().await["code"].clone()), (json!("0x7a69"), json!(-32005)));
    proxy.remove(rule);
    proxy.rule(Rule::any().does(Fault::Delay(Duration::from_millis(1))));
    proxy.rule(Rule::on("eth_chainId").times(1).does(Fault::alter(|_, result| *result = json!("0x1"))));
    assert_eq!((chain().await, chain().await), (json!("0x1"), json!("0x7a69")));
    proxy.clear();

    // Answered by what was asked, where that is known.
    let known = |params: &Value| (params[0] == SOMEBODY).then(|| json!("0x9"));
    proxy.rule(Rule::on("eth_getBalance").does(Fault::respond(known)));
    let balance = async |who: &str| ask(&proxy, "eth_getBalance", json!([who, "latest"])).await;
    let nobody = "0x00000000000000000000000000000000000000bb";
    assert_eq!((balance(SOMEBODY).await, balance(nobody).await), (json!("0x9"), json!("0x0")));
    proxy.clear();

    // HTTP and the connection, in a batch too.
    proxy.rule(Rule::any().times(1).does(Fault::status(429, "slow down", &[("retry-after", "3")])));
    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
    let refused = post(&proxy, one.clone()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"3".parse().unwrap()));
    assert_eq!(refused.text().await.unwrap(), "slow down");
    for fault in [Fault::Drop, Fault::LoseAnswer] {
        proxy.rule(Rule::on("eth_chainId").times(1).does(fault));
        let dropped = async { post(&proxy, one.clone()).await?.text().await };
        assert!(dropped.await.is_err());
    }
    proxy.reset();
    let other = json!({"jsonrpc": "2.0", "id": 2, "method": "eth_blockNumber", "params": []});
    let batch: Value = post(&proxy, json!([one, other])).await.unwrap().json().await.unwrap();
    assert_eq!(batch.as_array().map(Vec::len), Some(2));
    assert_eq!((proxy.posts(), proxy.total(), proxy.count("eth_chainId")), (1, 2, 1));

    // As of an earlier block.
    let number = async || ask(&proxy, "eth_blockNumber", json!([])).await;
    let balance = async || ask(&proxy, "eth_getBalance", json!([SOMEBODY, "latest"])).await;
    let before = number().await;
    anvil.fund(SOMEBODY, 7).await.unwrap();
    let newest: Value = ask(&proxy, "eth_getBlockByNumber", json!(["latest", true])).await;
    let tx = newest["transactions"][0]["hash"].clone();
    assert_eq!(balance().await, "0x7");
    proxy.behind(Some(1));
    assert_eq!((number().await, balance().await), (before.clone(), json!("0x0")));
    assert_eq!(ask(&proxy, "eth_getBlockByNumber", json!(["latest", false])).await["number"], before);
    assert_eq!(ask(&proxy, "eth_getBlockByNumber", json!([newest["number"], false])).await, Value::Null);
    assert_eq!(ask(&proxy, "eth_getBalance", json!([SOMEBODY, newest["number"]])).await["message"], "header not found");
    assert_eq!(ask(&proxy, "eth_getTransactionReceipt", json!([tx])).await, Value::Null);
    proxy.behind(None);
    assert_eq!(ask(&proxy, "eth_getTransactionReceipt", json!([tx])).await["status"], "0x1");

    // Ranges of logs, and rules by block.
    proxy.log_range(Some(2));
    let logs = async |from: &str| ask(&proxy, "eth_getLogs", json!([{"fromBlock": from, "toBlock": "latest"}])).await;
    assert_eq!(logs("0x0").await["code"], -32005);
    assert!(logs("latest").await.is_array());
    proxy.rule(Rule::on("eth_chainId").blocks(1_000..=2_000).does(Fault::Answer(json!("0x2"))));
    assert_eq!(chain().await, "0x7a69");
    let _: Value = anvil.rpc("anvil_mine", json!([1_000])).await.unwrap();
    assert_eq!(chain().await, "0x2");
}
