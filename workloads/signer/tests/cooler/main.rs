//! Promises of the Cooler process over a real API server, Vault and broker. Admin, hub and App are played with the
//! documents that they write.

#![cfg(test)]

mod admin;
mod ladders;

use std::{collections::BTreeMap, time::Duration};

use chain::{Amount, Asset, Claim, Effect, KeyRole, WalletDesc};
use chain_adapters::Adapters;
use custodies::{CHAIN, SAFE};
use custody::{Role, phrase::Phrase, report::WorkloadState};
use data_center::Member;
use evacuation::{Balance, Bundle, ChainState, WalletsExport, plan};
use protocol::{attestation::attest_hot_keys, ops::*, subject::Lane};
use rand_core::{OsRng, RngCore};
use serde_json::json;
use transport::Caller;

/// A data centre for this Cooler.
async fn start() -> Member {
    Member::start(Role::Cooler, env!("CARGO_BIN_EXE_cooler")).await
}

/// The sealed cool phrase, as it comes from the cool room.
fn sealed(member: &Member, xkey: &str) -> String {
    custody::sealed_phrase::seal(&member.cool, member.manifest(), xkey, &mut OsRng).unwrap().to_json()
}

/// From nothing to Serving.
async fn serving(member: &Member) -> Caller {
    member.decide_everything().await;
    let identity = member.state(WorkloadState::AwaitingCoolKey).await.identity.unwrap();
    let imported = member.exec(&["import"], &sealed(member, &identity.keys.xkey)).await;
    assert!(imported.status.success(), "{imported:?}");
    member.state(WorkloadState::Serving).await;
    member.app(&identity.keys).await
}

async fn ask(app: &Caller, operation: Operation, patience: Duration) -> Outcome {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = Request { operation_id, operation: Some(operation) };
    let deadline = tokio::time::Instant::now() + patience;
    app.call(Role::Cooler, Lane::Op, &request, deadline).await.unwrap().outcome.unwrap()
}

/// A user's hot key, in Keeper's place.
struct Hot {
    keys: custody::phrase::Keys,
    statement: HotKeys,
}

impl Hot {
    fn new(member: &Member) -> Self {
        let keys = Phrase::generate(&mut OsRng).keys();
        let public_key = keys.public_key("eip155").unwrap().to_vec();
        let statement = HotKeys {
            custody_id: member.custody_id().as_bytes().to_vec(),
            wallet: "alice".to_owned(),
            keys: vec![NamespaceKey { namespace: "eip155".to_owned(), public_key }],
        };
        Self { keys, statement }
    }

    async fn register(&self, member: &Member, app: &Caller) {
        let hot = Some(attest_hot_keys(&self.statement, member.peer.message_key()));
        let register = RegisterWallet { hot, chains: vec![CHAIN.to_owned()], salt: Vec::new() };
        let outcome = ask(app, Operation::RegisterWallet(register), Duration::from_secs(30)).await;
        assert!(matches!(outcome, Outcome::Registered(_)), "{outcome:?}");
    }

    fn described(&self, member: &Member) -> WalletDesc {
        let rules = Adapters::all().rules(&CHAIN.parse().unwrap()).unwrap();
        let owners = member.manifest().owners(rules.id(), &self.statement.keys[0].public_key).unwrap();
        rules.wallet(&owners, [0; 32]).unwrap()
    }

    /// A payment of `amount`, signed by hot.
    fn payment(&self, member: &Member, amount: u128, nonce: u64) -> Payment {
        let rules = Adapters::all().rules(&CHAIN.parse().unwrap()).unwrap();
        let effect = Effect::Transfer { asset: "ETH".to_owned(), to: SAFE.to_owned(), amount: Amount::from(amount) };
        let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
        let wallet = self.described(member);
        let unsigned = rules.build(&effect, &wallet, &assets, &[Claim::Sequence(nonce)]).unwrap();
        let secret = self.keys.secret("eip155").unwrap();
        let payloads = rules.payloads(&unsigned, &wallet, KeyRole::Hot).unwrap();
        let hot_signatures = payloads.iter().map(|payload| rules.sign(&secret, payload).unwrap()).collect();
        let (wallet, chain) = ("alice".to_owned(), CHAIN.to_owned());
        Payment { wallet, chain, unsigned, hot_signatures, ..Payment::default() }
    }
}

#[tokio::test]
async fn it_says_what_is_missing_until_nothing_is_then_signs_and_is_silent() {
    let member = start().await;
    let process = member.run();
    let report = member.state(WorkloadState::AwaitingTrust).await;
    assert!(report.message.contains("multisig member prepare") && report.identity.is_none(), "{report:?}");
    let (code, text) = member.http("/readyz").await;
    assert!(code == 503 && text.starts_with(r#"{"state":"AwaitingTrust","message":"#), "{code} {text}");

    member.write_trust(|_| {}).await;
    let report = member.report_with(|report| report.identity.is_some()).await;
    let identity = report.identity.unwrap();
    custody::identity::verify(&identity).unwrap();
    assert_eq!(identity.custody_id, Some(member.custody_id()));
    member.report_with(|report| report.message.contains("config.json")).await;
    member.write_config(json!({})).await;
    member.state(WorkloadState::AwaitingCredentials).await;
    member.deliver_credentials(&identity.nats_user, 7).await;
    let report = member.state(WorkloadState::AwaitingCoolKey).await;
    assert!(report.message.contains("multisig cool import"), "{report:?}");
    let imported = member.exec(&["import"], &sealed(&member, &identity.keys.xkey)).await;
    assert!(imported.status.success(), "{imported:?}");

    let report = member.report_with(|r| r.state == WorkloadState::Serving && r.credentials_generation == Some(7)).await;
    // How full the disk is that this runs on is said after it.
    assert!(report.message.starts_with("serving") && report.vault_key_version == Some(1), "{report:?}");
    assert_eq!(report.digests.manifest, Some(member.manifest().digest()));
    assert!(report.digests.policy.is_some() && report.digests.trust.is_some());
    assert_eq!(member.http("/readyz").await.0, 200);
    assert_eq!(member.http("/livez").await.0, 200);

    let (app, hot) = (member.app(&identity.keys).await, Hot::new(&member));
    hot.register(&member, &app).await;
    let outcome = ask(&app, Operation::Sign(hot.payment(&member, 1000, 0)), Duration::from_secs(30)).await;
    assert!(matches!(outcome, Outcome::Signed(_)), "{outcome:?}");
    let over = ask(&app, Operation::Sign(hot.payment(&member, 1001, 1)), Duration::from_secs(30)).await;
    assert!(matches!(&over, Outcome::Refused(refused) if refused.reason == "OverLimit"), "{over:?}");
    let metrics = member.http("/metrics").await.1;
    let counted = "multisig_signer_requests_total{operation=\"Sign\",outcome=\"OverLimit\"} 1";
    assert!(metrics.contains(counted) && metrics.contains("state{state=\"Serving\"} 1"), "{metrics}");

    // Polls go on; the report does not, although the audit chain has grown: it shows a newer head now and then only.
    assert_eq!(member.report().await.unwrap().audit_head.unwrap().count, 0);
    let seen = member.requests().len();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while member.requests().len() < seen + 9 {
        assert!(tokio::time::Instant::now() < deadline, "the ConfigMaps are polled");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let later = member.requests();
    assert!(later[seen..].iter().all(|(verb, _)| verb == "get"), "{:?}", &later[seen..]);
    let allowed = |(verb, map): &(String, String)| verb == "get" || (verb == "patch" && map == "cooler-report");
    assert!(later.iter().all(allowed), "{later:?}");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn what_is_taken_away_stops_it_and_what_comes_back_starts_it() {
    let member = start().await;
    let _process = member.run();
    let app = serving(&member).await;
    let hot = Hot::new(&member);
    hot.register(&member, &app).await;
    let check = || Operation::Check(Payment { hot_signatures: Vec::new(), ..hot.payment(&member, 5, 0) });
    let patience = Duration::from_secs(30);

    // The hub tightens; a limit for nothing, or an unknown field in the trust, is neither a policy nor a trust document.
    let limit = |asset: &str| json!({"limits": [{"chain": CHAIN, "asset": asset, "perTransaction": "4"}]});
    let before = member.report().await.unwrap().digests.policy;
    member.write_config(limit("ETH")).await;
    member.report_with(|report| report.digests.policy != before).await;
    let outcome = ask(&app, check(), patience).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.reason == "OverLimit"), "{outcome:?}");
    member.write_config(limit("ETHER")).await;
    let report = member.state(WorkloadState::AwaitingTrust).await;
    assert!(report.message.contains("limits ETHER"), "{report:?}");
    member.write_config(json!({})).await;
    member.state(WorkloadState::Serving).await;
    member.write_trust(|trust| trust["hub"] = json!("anything")).await;
    let report = member.state(WorkloadState::AwaitingTrust).await;
    assert!(report.message.contains("unknown field"), "{report:?}");
    member.write_trust(|_| {}).await;
    member.state(WorkloadState::Serving).await;
    assert!(matches!(ask(&app, check(), patience).await, Outcome::Allowed(_)));

    // The Vault.
    member.vault.seal().await.unwrap();
    let report = member.state(WorkloadState::Starting).await;
    assert!(report.message.contains("is sealed; unseal it"), "{report:?}");
    let outcome = ask(&app, Operation::Sign(hot.payment(&member, 5, 0)), Duration::from_secs(3)).await;
    assert!(matches!(&outcome, Outcome::Unavailable(why) if why.reason == "VaultSealed"), "{outcome:?}");
    member.vault.unseal().await.unwrap();
    member.state(WorkloadState::Serving).await;

    // The broker.
    member.nats.stop().await;
    member.state(WorkloadState::Disconnected).await;
    member.nats.start_again().await.unwrap();
    member.state(WorkloadState::Serving).await;

    // New credentials, without a restart.
    let nats_user = member.report().await.unwrap().identity.unwrap().nats_user;
    member.deliver_credentials(&nats_user, 2).await;
    member.report_with(|report| report.credentials_generation == Some(2)).await;

    // The API server: nothing is known to have changed, so the service goes on.
    member.cluster.stop().await;
    let outcome = ask(&app, Operation::Sign(hot.payment(&member, 5, 0)), patience).await;
    assert!(matches!(outcome, Outcome::Signed(_)), "{outcome:?}");
    member.cluster.start_again().await.unwrap();
    member.write_trust(|trust| drop(trust["peers"].as_object_mut().unwrap().remove("app"))).await;
    let report = member.state(WorkloadState::AwaitingTrust).await;
    assert!(report.message.contains("member approve app"), "{report:?}");
}

#[tokio::test]
async fn it_keeps_its_keys_over_a_restart_and_starts_with_the_vault_sealed() {
    let member = start().await;
    let process = member.run();
    member.write_trust(|_| {}).await;
    let first = member.report_with(|report| report.identity.is_some()).await.identity;
    assert_eq!(process.terminate().await, Some(0));

    member.vault.seal().await.unwrap();
    let _process = member.run();
    let report = member.state(WorkloadState::Starting).await;
    assert!(report.message.contains("unseal it") && report.identity.is_none(), "{report:?}");
    member.vault.unseal().await.unwrap();
    let again = member.report_with(|report| report.identity.is_some()).await.identity;
    assert_eq!(again, first);
}

#[tokio::test]
async fn it_leaves_no_core_dump_and_says_whether_its_memory_is_locked() {
    let member = start().await;
    let process = member.run();
    member.state(WorkloadState::AwaitingTrust).await;
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.pid())).unwrap();
    let limits = proc("limits");
    let core: Vec<_> =
        limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core, ["0", "0", "bytes"], "soft and hard: {limits}");

    let status = proc("status");
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim().to_owned();
    let (log, is_locked) = (member.log(), locked != "0 kB");
    assert_eq!(log.contains("memory is locked"), is_locked, "{locked}: {log}");
    assert_eq!(log.contains("memory is not locked"), !is_locked, "{locked}: {log}");
    assert!(!log.contains("core dumps could not be switched off"), "{log}");
}

#[tokio::test]
async fn its_vault_key_is_rotated_when_the_hub_asks_and_never_by_a_restart() {
    let member = start().await;
    let process = member.run();
    let app = serving(&member).await;
    let hot = Hot::new(&member);
    hot.register(&member, &app).await;

    member.write_config_with(json!({}), Some(7)).await;
    let report = member.report_with(|report| report.message.contains("Vault key")).await;
    assert!(report.message.contains("set vaultKeyGeneration to 2"), "{report:?}");
    assert_eq!((report.state, report.vault_key_version), (WorkloadState::Serving, Some(1)));

    member.write_config_with(json!({}), Some(2)).await;
    let rewrapped =
        |report: &custody::report::Report| report.vault_key_version == Some(2) && !report.message.contains("Vault key");
    let report = member.report_with(rewrapped).await;
    assert_eq!(report.rewrap_left, None, "{report:?}");
    let outcome = ask(&app, Operation::Sign(hot.payment(&member, 5, 0)), Duration::from_secs(30)).await;
    assert!(matches!(outcome, Outcome::Signed(_)), "{outcome:?}");

    // The seeds open by the new version, and the same word again does not rotate.
    assert_eq!(process.terminate().await, Some(0));
    let _process = member.run();
    let starting = member.report().await.unwrap();
    member
        .write_config_with(json!({"limits": [{"chain": CHAIN, "asset": "ETH", "perTransaction": "4"}]}), Some(2))
        .await;
    let report = member.report_with(|report| rewrapped(report) && report.digests != starting.digests).await;
    assert_eq!((report.state, report.identity), (WorkloadState::Serving, starting.identity));
}

#[tokio::test]
async fn only_the_manifests_phrase_sealed_to_this_cooler_is_imported() {
    let member = start().await;
    let _process = member.run();
    let refused = async |stdin: &str, words: &str| {
        let outcome = member.exec(&["import"], stdin).await;
        let said = String::from_utf8(outcome.stderr).unwrap();
        assert!(!outcome.status.success() && said.contains(words), "{said}");
        assert!(said.lines().filter(|line| line.starts_with("cooler: ")).count() == 1, "one line: {said}");
    };
    let stranger = nkeys::XKey::new().public_key();
    refused(&sealed(&member, &stranger), "no member trust and manifest").await;
    member.decide_everything().await;
    let own = member.state(WorkloadState::AwaitingCoolKey).await.identity.unwrap().keys.xkey;
    refused("not JSON", "malformed sealed cool phrase").await;
    refused(&sealed(&member, &stranger), "does not open with the present XKey").await;
    let other = start().await;
    refused(&sealed(&other, &own), "another custody or another manifest").await;
    assert_eq!(member.report().await.unwrap().state, WorkloadState::AwaitingCoolKey, "nothing was imported");

    let good = sealed(&member, &own);
    for _ in 0..2 {
        assert!(member.exec(&["import"], &good).await.status.success());
    }
    member.state(WorkloadState::Serving).await;
}

#[tokio::test]
async fn it_signs_an_evacuation_with_process_api_server_and_broker_gone_and_to_safe_destinations_only() {
    let member = start().await;
    let process = member.run();
    let app = serving(&member).await;
    let hot = Hot::new(&member);
    hot.register(&member, &app).await;
    assert_eq!(process.terminate().await, Some(0));
    member.cluster.stop().await;
    member.nats.stop().await;

    let exported = member.exec(&["wallets", "export"], "").await;
    assert!(exported.status.success(), "{exported:?}");
    let export = WalletsExport::parse(&exported.stdout).unwrap();
    let planned_for = |amount: u128| {
        let eth = Balance { asset: Asset { symbol: "ETH".to_owned(), contract: None }, amount: Amount::from(amount) };
        let state = ChainState { created: false, next: vec![Claim::Sequence(0)], balances: vec![eth] };
        let states = BTreeMap::from([(("alice".parse().unwrap(), CHAIN.parse().unwrap()), state)]);
        plan(&export, &states, member.manifest(), &Adapters::all(), &BTreeMap::new()).unwrap()
    };
    let planned = planned_for(77);

    // Frozen or not; and again when the balance has moved, under another digest.
    let frozen = member.exec(&["freeze", "--reason=breach"], "").await;
    assert!(frozen.status.success(), "{frozen:?}");
    let mut digests = Vec::new();
    for plan in [&planned, &planned, &planned_for(78)] {
        let signed = member.exec(&["evac", "sign"], &plan.to_json()).await;
        assert!(signed.status.success(), "{signed:?}");
        let bundle = Bundle::parse(&signed.stdout).unwrap().verify(member.manifest(), &Adapters::all()).unwrap();
        assert!(bundle.steps()[0].step().signatures.contains_key(&KeyRole::Cool));
        digests.push(bundle.steps()[0].id().to_vec());
    }
    assert!(digests[0] == digests[1] && digests[1] != digests[2]);
    let chain = admin::chain(&member).await;
    let evacuated = chain.lines.iter().filter(|line| line.record.operation == audit::EVACUATION_SIGN);
    assert_eq!(evacuated.map(|line| line.record.digest.clone()).collect::<Vec<_>>(), digests[1..]);

    let rules = Adapters::all().rules(&CHAIN.parse().unwrap()).unwrap();
    let mut elsewhere = planned.clone();
    let thief = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
    let theft = Effect::Transfer { asset: "ETH".to_owned(), to: thief.clone(), amount: Amount::from(77) };
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    let unsigned = rules.build(&theft, &hot.described(&member), &assets, &[Claim::Sequence(0)]).unwrap();
    elsewhere.steps[0].unsigned = chain::hex::encode_prefixed(unsigned);
    for said in [SAFE.to_owned(), thief] {
        elsewhere.steps[0].destination = said;
        let refused = member.exec(&["evac", "sign"], &elsewhere.to_json()).await;
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    }
}
