//! The broker.

#![allow(clippy::unwrap_used, reason = "also the helpers of tests are tests")]

use std::{collections::BTreeMap, time::Duration};

use harness::{Options, nats::Nats};
use natsauth::{AccountLimits, account_claims};
use nkeys::KeyPair;

fn account_jwt(account: &KeyPair, signer: &KeyPair) -> String {
    let claims =
        account_claims("test", &account.public_key(), vec![], AccountLimits::default(), BTreeMap::new(), 1_700_000_000);
    natsauth::encode(claims, signer).unwrap()
}

async fn ask(nats: &Nats, subject: String, payload: String) -> Option<String> {
    let client = nats.push_client().await.unwrap();
    let request = client.request(subject, payload.into());
    let answer = tokio::time::timeout(Duration::from_secs(2), request).await.ok()?.ok()?;
    Some(String::from_utf8(answer.payload.to_vec()).unwrap())
}

async fn look_up(nats: &Nats, account: &str) -> Option<String> {
    ask(nats, format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"), String::new()).await
}

#[tokio::test]
async fn the_push_user_pushes_accounts_signed_by_the_signing_key_which_outlive_a_restart() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let signer = KeyPair::from_seed(nats.operator_signing_seed()).unwrap();
    let account = KeyPair::new_account();
    let jwt = account_jwt(&account, &signer);
    let update = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", account.public_key());
    assert!(ask(&nats, update, jwt.clone()).await.unwrap().contains("200"));
    assert_eq!(look_up(&nats, &account.public_key()).await, Some(jwt.clone()));

    let url = nats.url();
    nats.stop().await;
    assert!(nats.push_client().await.is_err());
    nats.start_again().await.unwrap();
    assert_eq!(nats.url(), url);
    assert_eq!(look_up(&nats, &account.public_key()).await, Some(jwt));
}

#[tokio::test]
async fn the_push_user_may_neither_push_the_system_account_nor_delete_nor_listen() {
    let nats = Nats::start(Options::default()).await.unwrap();
    let signer = KeyPair::from_seed(nats.operator_signing_seed()).unwrap();
    let system = nats.system_account().to_owned();
    let before = look_up(&nats, &system).await.unwrap();
    let jwt = account_jwt(&KeyPair::from_public_key(&system).unwrap(), &signer);
    for subject in [format!("$SYS.REQ.ACCOUNT.{system}.CLAIMS.UPDATE"), "$SYS.REQ.CLAIMS.UPDATE".to_owned()] {
        assert_eq!(ask(&nats, subject.clone(), jwt.clone()).await, None, "{subject}");
    }
    assert_eq!(ask(&nats, "$SYS.REQ.CLAIMS.DELETE".to_owned(), jwt).await, None);
    assert_eq!(look_up(&nats, &system).await, Some(before));
    assert!(nats.log().contains("Permissions Violation") || nats.log().contains("Publish Violation"), "{}", nats.log());
}

#[tokio::test]
async fn its_certificate_is_believed_through_its_authority_only() {
    let (nats, other) =
        (Nats::start(Options::default()).await.unwrap(), Nats::start(Options::default()).await.unwrap());
    let stranger = async_nats::ConnectOptions::with_credentials(&nats.push_user_creds())
        .unwrap()
        .add_root_certificates(other.ca_file())
        .tls_first();
    assert!(stranger.connect(nats.url()).await.is_err());
}

#[tokio::test]
async fn a_detached_broker_is_found_again_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { folder: Some(folder.path().join("nats")), detached: true, ..Options::default() };
    let first = Nats::start(options.clone()).await.unwrap();
    let (url, creds) = (first.url(), first.push_user_creds());
    drop(first);

    let found = Nats::open(&folder.path().join("nats")).await.unwrap();
    assert!(found.runs());
    assert_eq!((found.url(), found.push_user_creds()), (url, creds));
    found.push_client().await.unwrap();

    let again = Nats::start(options).await.unwrap();
    assert!(again.runs(), "starting what runs changes nothing");
    again.stop().await;
    assert!(!found.runs());
}

#[tokio::test]
async fn its_state_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("nats");
    let _nats = Nats::start(Options { folder: Some(folder.clone()), ..Options::default() }).await.unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.clone()), mode(folder.join("state.json"))), (0o700, 0o600));
}
