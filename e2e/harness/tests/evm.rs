//! The EVM node.

use harness::{Options, evm::Anvil};
use serde_json::{Value, json};

const USER: &str = "0x00000000000000000000000000000000000000aa";

#[tokio::test]
async fn the_safe_contracts_are_where_every_address_is_computed_from() {
    let anvil = Anvil::start(31_337, Options::default()).await.unwrap();
    let version = json!([{"to": "0x41675C099F32341bf84BFc5382aF534df5C7461a", "data": "0xffa1ad74"}, "latest"]);
    let version: String = anvil.rpc("eth_call", version).await.unwrap();
    assert!(version.contains("312e342e31"), "VERSION() is 1.4.1: {version}");

    // proxyCreationCode() of the factory followed by the singleton is what addresses commit to.
    let call = json!([{"to": "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67", "data": "0x53e5d935"}, "latest"]);
    let code: String = anvil.rpc("eth_call", call).await.unwrap();
    let length = usize::from_str_radix(&code[66..130], 16).unwrap();
    let singleton = "41675c099f32341bf84bfc5382af534df5c7461a";
    let init_code = format!("0x{}{singleton:0>64}", &code[130..130 + 2 * length]);
    let hash: String = anvil.rpc("web3_sha3", json!([init_code])).await.unwrap();
    assert_eq!(hash, chain_evm::constants::PROXY_INIT_CODE_HASH.to_string());
}

#[tokio::test]
async fn accounts_are_funded_with_coins_and_tokens() {
    let anvil = Anvil::start(1_234, Options::default()).await.unwrap();
    assert_eq!(anvil.rpc::<String>("eth_chainId", json!([])).await.unwrap(), "0x4d2");
    let accounts = anvil.dev_accounts().unwrap();
    assert_eq!(accounts.len(), 10);
    assert_eq!(accounts[1].key.len(), 66);
    assert_eq!(anvil.balance(&accounts[1].address).await.unwrap(), 10_000 * 10_u128.pow(18));

    anvil.fund(USER, 5).await.unwrap();
    anvil.fund(USER, 2).await.unwrap();
    assert_eq!(anvil.balance(USER).await.unwrap(), 7);

    let token = anvil.deploy_token().await.unwrap();
    anvil.fund_token(&token, USER, 42).await.unwrap();
    assert_eq!(anvil.token_balance(&token, USER).await.unwrap(), 42);
    assert_eq!(anvil.token_balance(&token, &accounts[0].address).await.unwrap(), 10_u128.pow(15) - 42);
}

#[tokio::test]
async fn a_refusal_of_the_node_is_an_error_with_its_reason() {
    let anvil = Anvil::start(31_337, Options::default()).await.unwrap();
    let error = anvil.rpc::<Value>("eth_nonsense", json!([])).await.unwrap_err().to_string();
    assert!(error.contains("eth_nonsense"), "{error}");
}

#[tokio::test]
async fn a_stopped_node_returns_with_its_chain() {
    let anvil = Anvil::start(31_337, Options::default()).await.unwrap();
    anvil.fund(USER, 5).await.unwrap();
    let token = anvil.deploy_token().await.unwrap();
    let url = anvil.url();
    let block: String = anvil.rpc("eth_blockNumber", json!([])).await.unwrap();
    let (_, hash) = (token, anvil.rpc::<Value>("eth_getBlockByNumber", json!(["latest", false])).await.unwrap());
    let transaction = hash["transactions"][0].as_str().unwrap().to_owned();

    anvil.stop().await;
    assert!(anvil.balance(USER).await.is_err());
    anvil.start_again().await.unwrap();
    assert_eq!(anvil.balance(USER).await.unwrap(), 5);
    assert_eq!(anvil.url(), url);
    assert_eq!(anvil.rpc::<String>("eth_blockNumber", json!([])).await.unwrap(), block);
    assert_eq!(anvil.receipt(&transaction).await.unwrap()["status"], "0x1");
}

#[tokio::test]
async fn a_detached_node_is_found_again_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("anvil");
    let options = Options { folder: Some(folder.clone()), detached: true, ..Options::default() };
    let first = Anvil::start(7, options.clone()).await.unwrap();
    first.fund(USER, 1).await.unwrap();
    drop(first);

    let found = Anvil::open(&folder).await.unwrap();
    assert!(found.runs());
    assert_eq!(found.balance(USER).await.unwrap(), 1);
    assert!(Anvil::start(8, options.clone()).await.is_err(), "another chain is another node");
    let again = Anvil::start(7, options).await.unwrap();
    assert_eq!(again.balance(USER).await.unwrap(), 1);
    again.stop().await;
    assert!(!found.runs());
}
