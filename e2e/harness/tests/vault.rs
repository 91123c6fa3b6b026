//! Vault.

#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

use harness::{Options, vault::Vault};
use reqwest::Method;
use serde_json::json;

async fn write(vault: &Vault) {
    let transit = json!({"type": "transit"});
    vault.call(Method::POST, "sys/mounts/transit", Some(&transit)).await.unwrap();
    vault.call(Method::POST, "transit/keys/k", Some(&json!({}))).await.unwrap();
}

async fn reads(vault: &Vault) -> bool {
    vault.call(Method::GET, "transit/keys/k", None).await.is_ok_and(|key| key["data"]["name"] == "k")
}

#[tokio::test]
async fn a_sealed_vault_refuses_and_serves_again_when_unsealed() {
    let vault = Vault::start(Options::default()).await.unwrap();
    write(&vault).await;
    vault.seal().await.unwrap();
    let refused = vault.call(Method::GET, "transit/keys/k", None).await.unwrap_err().to_string();
    assert!(refused.contains("503"), "{refused}");
    vault.unseal().await.unwrap();
    assert!(reads(&vault).await);
}

#[tokio::test]
async fn a_restarted_vault_is_sealed_and_forgets_nothing() {
    let vault = Vault::start(Options::default()).await.unwrap();
    let address = vault.address();
    write(&vault).await;
    vault.stop().await;
    assert!(!reads(&vault).await);
    vault.start_sealed().await.unwrap();
    assert!(!reads(&vault).await);
    vault.start_again().await.unwrap();
    assert!(reads(&vault).await);
    assert_eq!(vault.address(), address);
}

#[tokio::test]
async fn a_detached_vault_is_found_again_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("vault");
    let options = Options { folder: Some(folder.clone()), detached: true, ..Options::default() };
    let first = Vault::start(options.clone()).await.unwrap();
    write(&first).await;
    drop(first);

    let found = Vault::open(&folder).await.unwrap();
    assert!(found.runs() && reads(&found).await);
    found.stop().await;

    let again = Vault::start(options).await.unwrap();
    assert!(reads(&again).await, "it is started and unsealed with the keys of its folder");
    again.stop().await;
}
