//! Another address than loopback, as the lab needs for pods to reach these servers.

use std::net::IpAddr;

use harness::{Options, evm::Anvil, nats::Nats, vault::Vault};
use serde_json::json;

fn elsewhere() -> Options {
    Options { bind: IpAddr::from([127, 0, 0, 2]), ..Options::default() }
}

#[tokio::test]
async fn servers_listen_on_the_address_given_with_a_certificate_for_it() {
    // Each has answered there over TLS before `start` returns.
    let nats = Nats::start(elsewhere()).await.unwrap();
    assert!(nats.url().starts_with("tls://127.0.0.2:"), "{}", nats.url());
    let vault = Vault::start(elsewhere()).await.unwrap();
    assert!(vault.address().starts_with("https://127.0.0.2:"), "{}", vault.address());
}

#[tokio::test]
async fn the_evm_node_answers_there_and_on_loopback() {
    let anvil = Anvil::start(31_337, elsewhere()).await.unwrap();
    let http = harness::tls::plain_client().unwrap();
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
    for url in [anvil.url(), anvil.loopback_url()] {
        let answer = http.post(&url).json(&question).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["result"], "0x7a69", "{url}");
    }
}

#[tokio::test]
async fn an_address_of_another_host_is_refused_at_once() {
    let options = Options { bind: "192.0.2.1".parse().unwrap(), ..Options::default() };
    let error = Nats::start(options).await.err().unwrap().to_string();
    assert!(error.contains("192.0.2.1"), "{error}");
}
