use zeroize::Zeroizing;

use super::{ELSEWHERE, SHOP, address, alice, open};
use crate::{
    domain::{Attested, CLIENT_KEY_BYTES, ClientKey, Seed, Wallet},
    store::Wallets,
};

#[tokio::test]
async fn operation_seed_and_attestations_of_a_wallet_never_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert_eq!(store.wallet(&alice()).await.unwrap(), None);
    let asked = store.ask_for_wallet(&alice(), Seed([1; 16]), None).await.unwrap();
    assert_eq!(store.ask_for_wallet(&alice(), Seed([2; 16]), None).await.unwrap(), asked);

    let attested =
        Attested { hot_key: vec![2; 33], address: address(SHOP), keeper: b"k".to_vec(), cooler: b"c".to_vec() };
    store.attest_wallet(&alice(), attested.clone()).await.unwrap();
    store.renew_wallet(&alice(), Seed([3; 16])).await.unwrap();
    let other = Attested { address: address(ELSEWHERE), ..attested.clone() };
    store.attest_wallet(&alice(), other).await.unwrap();
    let stored = store.wallet(&alice()).await.unwrap().unwrap();
    assert_eq!(stored, Wallet { attested: Some(attested), ..asked });
}

#[tokio::test]
async fn a_wallet_keeps_its_first_client_key_and_an_attested_wallet_gets_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let key = |byte| ClientKey::new(Zeroizing::new([byte; CLIENT_KEY_BYTES]));
    let stored = async |id: &str| store.client_key(&id.parse().unwrap()).await.unwrap().map(|key| key.to_vec());
    let ask = async |id: &str, key| store.ask_for_wallet(&id.parse().unwrap(), Seed([1; 16]), key).await.unwrap();
    ask("alice", None).await;
    assert_eq!(stored("alice").await, None);
    ask("alice", Some(key(1))).await;
    ask("alice", Some(key(2))).await;
    ask("alice", None).await;
    assert_eq!(stored("alice").await, Some(vec![1; 32]));

    ask("bob", None).await;
    let attested = Attested { hot_key: vec![], address: address(SHOP), keeper: vec![], cooler: vec![] };
    store.attest_wallet(&"bob".parse().unwrap(), attested).await.unwrap();
    ask("bob", Some(key(3))).await;
    assert_eq!((stored("bob").await, stored("nobody").await), (None, None));
}
