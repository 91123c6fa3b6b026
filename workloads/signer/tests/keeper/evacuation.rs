//! Keeper signs plans of version 2 with the hot keys that it can open alone.

use std::{collections::BTreeMap, fs, time::Duration};

use chain::{Asset, Claim, KeyRole};
use chain_adapters::Adapters;
use custodies::{CHAIN, FoundWallet, phrase};
use custody::{
    Role,
    manifest::{Manifest, SignedManifest},
    phrase::EIP155,
    report::WorkloadState,
};
use data_center::Member;
use evacuation::{
    ChainState, ExportedWallet, WalletsExport, plan,
    stream::{OpenedPlan, OwnerPair, SignatureReader},
};
use protocol::{ops, subject::Lane};
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};
use signer::store::{HotWallet, SealedKey, Store};
use transport::Caller;

async fn ask(app: &Caller, operation: ops::Operation) -> ops::Outcome {
    let mut operation_id = vec![0; ops::OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = ops::Request { operation_id, operation: Some(operation) };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    app.call(Role::Keeper, Lane::Op, &request, deadline).await.unwrap().outcome.unwrap()
}

/// A wallet that Keeper makes and registers.
async fn make(app: &Caller, wallet: &str) {
    let create = ops::CreateWallet { wallet: wallet.to_owned(), ..ops::CreateWallet::default() };
    let hot = match ask(app, ops::Operation::CreateWallet(create)).await {
        ops::Outcome::Created(attestation) => Some(attestation),
        other => panic!("{other:?}"),
    };
    let register = ops::RegisterWallet { hot, chains: vec![CHAIN.to_owned()], salt: Vec::new() };
    let outcome = ask(app, ops::Operation::RegisterWallet(register)).await;
    assert!(matches!(outcome, ops::Outcome::Registered(_)), "{outcome:?}");
}

/// Records of wallets whose hot keys are those of these phrases.
fn others(member: &Member, named: &[(&str, u8)]) -> Vec<ExportedWallet> {
    let chain: chain::ChainId = CHAIN.parse().unwrap();
    let of = |(name, byte): &(&str, u8)| {
        let hot = phrase(*byte).keys().public_key(EIP155).unwrap().to_vec();
        let owners = member.manifest().owners(&chain, &hot).unwrap();
        let address = Adapters::all().rules(&chain).unwrap().wallet(&owners, [0; 32]).unwrap().address;
        let keys = BTreeMap::from([(EIP155.to_owned(), hot)]);
        ExportedWallet::new(name.parse().unwrap(), &keys, [0; 32], [(chain.clone(), address)].into())
    };
    named.iter().map(of).collect()
}

/// Each holds one unit less than the one before.
fn draw(export: &WalletsExport, signed: &SignedManifest, owners: OwnerPair) -> Vec<u8> {
    let found = |(record, amount): (&ExportedWallet, u128)| FoundWallet {
        record: record.clone(),
        live: None,
        held: vec![amount],
    };
    let found: Vec<_> = export.wallets.iter().zip((1..=99).rev()).map(found).collect();
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    custodies::plan(signed, &CHAIN.parse().unwrap(), &assets, owners, &found)
}

/// The same stations' next revision of the manifest.
fn next_revision(member: &Member) -> SignedManifest {
    let manifest = Manifest { revision: 2, ..member.manifest().manifest().clone() };
    let mut signed = SignedManifest::new(manifest).unwrap();
    signed.sign(KeyRole::Cool, &member.cool.keys()).unwrap();
    signed.sign(KeyRole::Cold, &member.cold.keys()).unwrap();
    signed
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_signs_though_keeper_is_down_and_frozen_and_the_wallets_of_clients_keys_are_named() {
    let member = Member::start(Role::Keeper, env!("CARGO_BIN_EXE_keeper")).await;
    // A wallet whose key a client seals, from the time before the rows were authenticated.
    let key = phrase(10).keys().public_key(EIP155).unwrap().to_vec();
    let sealed = SealedKey { namespace: EIP155.to_owned(), public_key: key, secret: "client:v1:sealed".to_owned() };
    let (wallet, entropy) = ("clients".to_owned(), "client:v1:sealed".to_owned());
    let hot = HotWallet { wallet, entropy, keys: vec![sealed], attestation: vec![1], verifier: Some(vec![1]) };
    let store = Store::open(&member.data_dir()).unwrap();
    store.decide(0, move |ledger| ledger.keep_hot(hot)).await.unwrap();
    drop(store);
    let process = member.run();
    member.decide_everything().await;
    let identity = member.state(WorkloadState::Serving).await.identity.unwrap();
    let app = member.app(&identity.keys).await;
    for wallet in ["alice", "bob"] {
        make(&app, wallet).await;
    }
    assert_eq!(process.terminate().await, Some(0));
    member.nats.stop().await;
    let frozen = member.exec(&["freeze", "--reason=breach"], "").await;
    assert!(frozen.status.success(), "{frozen:?}");

    // And one that Keeper has never seen.
    let strangers = others(&member, &[("clients", 10), ("stranger", 11)]);
    let exported = member.exec(&["wallets", "export"], "").await;
    assert!(exported.status.success(), "{exported:?}");
    let mut export = WalletsExport::parse(&exported.stdout).unwrap();
    export.wallets.insert(1, strangers[0].clone());
    export.wallets.push(strangers[1].clone());

    let plan_file = draw(&export, &member.signed, OwnerPair::HotAndCold);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("plan"), &plan_file).unwrap();
    fs::write(path("manifest.json"), member.signed.to_json()).unwrap();
    let manifest = format!("--manifest={}", path("manifest.json"));
    let to = |name: &str| format!("--out={}", path(name));
    let (plan_path, hot_sig) = (path("plan"), to("hot.sig"));
    let signed = member.exec(&["evac", "sign", &manifest, &plan_path, &hot_sig, "-o", "json"], "").await;
    assert!(signed.status.success(), "{signed:?}");
    let told: Value = serde_json::from_slice(&signed.stdout).unwrap();
    let named = json!([{"wallet": "clients", "reason": "clientKey"}, {"wallet": "stranger", "reason": "unknown"}]);
    assert_eq!((&told["role"], &told["steps"], &told["missing"]), (&json!("hot"), &json!(8), &named));

    let mut reader =
        OpenedPlan::open(plan_file.as_slice()).unwrap().verify(member.manifest(), &Adapters::all()).unwrap();
    let file = fs::read(path("hot.sig")).unwrap();
    let mut signatures = SignatureReader::open(file.as_slice()).unwrap();
    signatures.require(KeyRole::Hot, reader.header_digest()).unwrap();
    let chunk = reader.next_chunk().unwrap().unwrap();
    let found = signatures.signatures_on(&chunk).unwrap();
    let steps = chunk.steps().unwrap();
    let mut digests = Vec::new();
    for (step, signatures) in steps.iter().zip(&found) {
        let own = ["alice", "bob"].contains(&step.wallet().planned().id.as_str());
        assert_eq!(signatures.is_some(), own, "{}", step.wallet().planned().id);
        digests.extend(own.then(|| step.id().to_vec()));
    }
    assert!(reader.next_chunk().unwrap().is_none());
    signatures.require_end(reader.digest()).unwrap();
    recorded(&member, &digests).await;

    // To standard output, again, and gone on with after a stop: the same. Never over a file.
    let again = member.exec(&["evac", "sign"], &plan_file).await;
    assert_eq!((again.status.success(), &again.stdout), (true, &file), "{again:?}");
    let said = String::from_utf8(again.stderr).unwrap();
    for words in
        ["2 of 4 wallets have no signature of hot", "clients: its key needs the client's key", "signed by hot and cold"]
    {
        assert!(said.contains(words), "{words} in {said}");
    }
    fs::write(path("again.sig.part"), &file[..file.len() - 40]).unwrap();
    let resumed = member.exec(&["evac", "sign", &plan_path, &to("again.sig")], "").await;
    assert!(resumed.status.success() && fs::read(path("again.sig")).unwrap() == file, "{resumed:?}");
    recorded(&member, &digests).await;

    refusals(&member, &export, &|name, bytes| fs::write(path(name), bytes).unwrap(), &path).await;
}

/// What was signed is in the audit chain, once.
async fn recorded(member: &Member, digests: &[Vec<u8>]) {
    let exported = member.exec(&["audit", "export"], "").await;
    let export = audit::read(exported.stdout.as_slice()).unwrap();
    let signed = export.lines.iter().filter(|line| line.record.operation == audit::EVACUATION_SIGN);
    assert_eq!(signed.map(|line| line.record.digest.clone()).collect::<Vec<_>>(), digests);
}

async fn refusals(member: &Member, export: &WalletsExport, write: &dyn Fn(&str, &[u8]), path: &dyn Fn(&str) -> String) {
    let refused = async |plan: &[u8], more: &[&str], why: &str| {
        write("plan", plan);
        let plan = path("plan");
        let output = member.exec(&[&["evac", "sign", &plan], more].concat(), "").await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains(why), "{why}: {said}");
    };
    let plan_for = |owners| draw(export, &member.signed, owners);
    let hot = plan_for(OwnerPair::HotAndCold);
    let taken = format!("--out={}", path("hot.sig"));
    refused(&hot, &[&taken], "already exists; move it away").await;
    let cold = plan_for(OwnerPair::CoolAndCold);
    refused(&cold, &[], "the plan is signed by cool and cold, and not by hot").await;
    let next = next_revision(member);
    write("next.json", next.to_json().as_bytes());
    let given = format!("--manifest={}", path("next.json"));
    refused(&hot, &[&given], "it has revision 2 and digest").await;
    let mut under_next = export.clone();
    under_next.manifest_digest = next.digest();
    let other_revision = draw(&under_next, &next, OwnerPair::HotAndCold);
    refused(&other_revision, &[], "made with revision 2 of the manifest, and revision 1 is pinned here").await;
    let chain: chain::ChainId = CHAIN.parse().unwrap();
    let empty = || ChainState { created: false, next: vec![Claim::Sequence(0)], balances: Vec::new() };
    let states = export.wallets.iter().map(|wallet| ((wallet.id.clone(), chain.clone()), empty())).collect();
    let bundle = plan(export, &states, member.manifest(), &Adapters::all(), &BTreeMap::new()).unwrap();
    refused(bundle.to_json().as_bytes(), &[], "a bundle of version 1 is signed by cool and cold").await;

    // Without paper: not unless the local policy allows it, and a looser one waits.
    let paperless = plan_for(OwnerPair::HotAndCool);
    let delayed = |trust: &mut Value| trust["localPolicy"]["looseningDelaySeconds"] = json!(3600);
    member.write_trust(delayed).await;
    refused(&paperless, &[], "evacuation.withoutPaper: the local policy does not let hot and cool").await;
    member.write_trust(|trust| trust["localPolicy"]["evacuation"] = json!({"withoutPaper": true})).await;
    refused(&paperless, &[], "evacuation.withoutPaper: the earlier local policy does not let hot and cool").await;
    recorded_count(member, 4).await;
}

async fn recorded_count(member: &Member, count: usize) {
    let exported = member.exec(&["audit", "export"], "").await;
    let export = audit::read(exported.stdout.as_slice()).unwrap();
    let signed = export.lines.iter().filter(|line| line.record.operation == audit::EVACUATION_SIGN);
    assert_eq!(signed.count(), count, "nothing that was refused was recorded");
}
