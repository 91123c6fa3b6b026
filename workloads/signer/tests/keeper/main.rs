//! Promises of the Keeper process over a real API server, Vault and broker, to an App in another language.

#![cfg(test)]

mod evacuation;

use chain::{Amount, Asset, Claim, Effect, Payload};
use chain_adapters::Adapters;
use custodies::{CHAIN, SAFE};
use custody::{Role, report::WorkloadState};
use data_center::Member;
use data_encoding::HEXLOWER;
use harness::go_app::GoApp;
use serde::Deserialize;
use serde_json::Value;

/// What `second app` prints; it has verified every envelope and attestation in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Played {
    hot_keys: Value,
    record: Value,
    unsigned: String,
    digest: String,
    signature: String,
    batch: Value,
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_in_another_language_makes_a_wallet_and_has_a_payment_signed() {
    let member = Member::start(Role::Keeper, env!("CARGO_BIN_EXE_keeper")).await;
    let process = member.run();
    member.decide_everything().await;
    let signer = member.state(WorkloadState::Serving).await.identity.unwrap().keys;
    let profile = member.app_profile(&signer).display().to_string();
    let app = tokio::task::spawn_blocking(move || GoApp::build()?.run(["app", &profile, CHAIN, SAFE, "1000"]));
    let output = app.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", member.log());
    let played: Played = serde_json::from_slice(&output.stdout).unwrap();

    let hot = bytes(played.hot_keys["keys"][0]["publicKey"].as_str().unwrap());
    let rules = Adapters::all().rules(&CHAIN.parse().unwrap()).unwrap();
    let owners = member.manifest().owners(rules.id(), &hot).unwrap();
    let wallet = rules.wallet(&owners, [0; 32]).unwrap();
    assert_eq!(played.record["addresses"][0]["address"], wallet.address);
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    let decoded = rules.decode(&bytes(&played.unsigned), &wallet, &assets).unwrap();
    let wanted = Effect::Transfer { asset: "ETH".to_owned(), to: SAFE.to_owned(), amount: Amount::from(1000) };
    assert_eq!((decoded.effects, decoded.claims), (vec![wanted], vec![Claim::Sequence(0)]));
    assert_eq!(decoded.id.to_vec(), bytes(&played.digest));
    assert!(rules.verify(&hot, &Payload::Digest(decoded.id), &bytes(&played.signature)));
    check_batch(&played.batch);
    check_chain(&member).await;
    let frozen = member.exec(&["freeze", "--reason=enough"], "").await;
    assert!(frozen.status.success(), "{frozen:?}");
    member.state(WorkloadState::Frozen).await;
    assert_eq!(process.terminate().await, Some(0));
}

/// Two wallets, and a payment on a chain that the local policy does not name: each item has an answer of its own. A signer that
/// serves no batches says so.
fn check_batch(batch: &Value) {
    let answers = batch["batch"]["responses"].as_array().unwrap_or_else(|| panic!("no answers: {batch}"));
    let kinds: Vec<&String> = answers.iter().flat_map(|answer| answer.as_object().unwrap().keys()).collect();
    assert_eq!(kinds, ["created", "created", "refused"]);
    assert_eq!(answers[2]["refused"]["reason"], "ChainNotAllowed");
}

/// What was played is in Keeper's audit chain after the record of its store key, under a head that it has signed.
async fn check_chain(member: &Member) {
    let exported = member.exec(&["audit", "export"], "").await;
    let export = audit::read(exported.stdout.as_slice()).unwrap();
    let attested = audit::attested(&export.header, &[]).unwrap().expect("the keys open, so the head is signed");
    audit::verify(&export, &[attested]).unwrap();
    let signed = export.lines.iter().filter(|line| line.record.decision == "Signed").count();
    assert!(signed > 0 && export.lines[1..].iter().all(|line| line.record.requester == "app"), "{export:?}");
}
