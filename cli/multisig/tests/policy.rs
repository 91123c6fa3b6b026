//! Promises of `multisig policy test`, the program itself, without any server.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    process::{Command, Output},
};

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use protocol::{attestation, ops::PaymentIntent};
use serde_json::{Value, json};
use tempfile::TempDir;

const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const NOW: &str = "2026-01-31T12:00:00Z";
const NOW_MS: u64 = 1_769_860_800_000;

/// A folder with one policy and one request.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(policy: &str, request: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy"), policy).unwrap();
        fs::write(folder.path().join("request"), request).unwrap();
        Self { folder }
    }

    fn run(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multisig"));
        command.current_dir(self.folder.path()).args(["policy", "test", "policy", "request"]).args(more);
        command.output().unwrap()
    }
}

fn local_policy() -> Value {
    json!({
        "assets": [{
            "chain": "eip155:1", "symbol": "ETH", "asset": "native", "decimals": 18, "perTransaction": "1000",
            "perWallet": {"amount": "2000", "windowSeconds": 86400},
            "timeLock": {"above": "500", "delaySeconds": 3600},
            "intentAbove": "900",
        }],
        "destinations": {"allow": [{"chain": "eip155:1", "address": BOB}], "coolingSeconds": 60},
        "intentSigners": [HEXLOWER.encode(key().verifying_key().as_bytes())],
    })
}

fn policy() -> Value {
    json!({"localPolicy": local_policy(), "safeDestinations": {"eip155:1": [SAFE]}})
}

/// A payment of 400 that is allowed.
fn request() -> Value {
    json!({
        "wallet": "alice", "chain": "eip155:1", "kind": "transfer", "asset": "ETH", "to": BOB.to_ascii_lowercase(),
        "amount": "400", "now": NOW, "listedSince": "2026-01-01T00:00:00Z",
        "spent": [{"limit": "perWallet", "windowSeconds": 86400, "amount": "1600"}],
    })
}

fn with(document: Value, changes: Value) -> Value {
    let mut document = document;
    for (field, value) in changes.as_object().unwrap() {
        document[field] = value.clone();
    }
    document
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn explained(policy: &Value, request: &Value, code: i32) -> Value {
    let output = Desk::new(&policy.to_string(), &request.to_string()).run(&["-o", "json"]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(output.stderr.is_empty(), code == 0, "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one line of a run that found a file wrong.
fn bad_input(policy: &str, request: &str) -> String {
    let output = Desk::new(policy, request).run(&[]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.trim().lines().count()), (Some(2), 1), "{line}");
    assert!(output.stdout.is_empty());
    line
}

#[test]
fn every_rule_says_what_it_found_and_the_code_is_the_verdict() {
    let allowed = explained(&policy(), &request(), 0);
    assert_eq!(allowed["verdict"], "Allowed");
    let rules: Vec<_> = allowed["findings"].as_array().unwrap().iter().map(|found| found["rule"].clone()).collect();
    assert_eq!(json!(rules), json!(policy::Rule::ALL.map(policy::Rule::as_str)));
    let table = [
        (json!({"amount": "401"}), "OverWindow"),
        (json!({"amount": "1001", "spent": []}), "OverLimit"),
        (json!({"asset": "USDT", "spent": []}), "AssetNotAllowed"),
        (json!({"chain": "eip155:5", "spent": []}), "ChainNotAllowed"),
        (json!({"to": SAFE}), "DestinationNotAllowed"),
        (json!({"listedSince": NOW}), "DestinationCooling"),
        (json!({"listedSince": null}), "DestinationCooling"),
        (json!({"fee": "1"}), "FeeTooHigh"),
        (json!({"vetoed": true}), "Vetoed"),
        (json!({"amount": "901", "spent": [], "announcedAt": "2026-01-31T00:00:00Z"}), "IntentMissing"),
    ];
    for (change, reason) in table {
        let refused = explained(&policy(), &with(request(), change), 1);
        assert_eq!((&refused["verdict"], &refused["reason"]), (&json!("Refused"), &json!(reason)), "{refused}");
        let found = |found: &Value| found["outcome"] == "Refuses" && found["reason"] == reason;
        assert!(refused["findings"].as_array().unwrap().iter().any(found), "{refused}");
    }
}

#[test]
fn a_payment_that_waits_says_until_when() {
    let large = with(request(), json!({"amount": "501", "spent": []}));
    let unannounced = explained(&policy(), &large, 1);
    assert_eq!((&unannounced["verdict"], unannounced.get("notBefore")), (&json!("Pending"), None));
    let announced = explained(&policy(), &with(large, json!({"announcedAt": NOW})), 1);
    assert_eq!(announced["notBefore"], "2026-01-31T13:00:00Z");
}

#[test]
fn a_cancel_goes_to_the_safe_destinations_of_the_file() {
    let cancel = |to: &str| json!({"wallet": "alice", "chain": "eip155:1", "kind": "cancel", "to": to});
    assert_eq!(explained(&policy(), &cancel(SAFE), 0)["verdict"], "Allowed");
    assert_eq!(explained(&policy(), &cancel(BOB), 1)["reason"], "NotASafeDestination");
    assert_eq!(explained(&json!({"localPolicy": local_policy()}), &cancel(SAFE), 1)["reason"], "NotASafeDestination");
}

#[test]
fn an_intent_is_verified_as_the_signers_do() {
    let wanted = PaymentIntent {
        custody_id: vec![7; 16],
        id: vec![9; 16],
        wallet: "alice".to_owned(),
        chain: "eip155:1".to_owned(),
        asset: "ETH".to_owned(),
        to: BOB.to_owned(),
        amount: "901".to_owned(),
        expires_at_ms: NOW_MS,
    };
    let signed = attestation::attest_payment_intent(&wanted, &key());
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let intent = json!({"body": hex(&signed.body), "signer": hex(&signed.signer), "signature": hex(&signed.signature)});
    let large = json!({
        "amount": "901", "spent": [], "announcedAt": "2026-01-31T00:00:00Z", "custodyId": "07".repeat(16),
        "intent": intent,
    });
    let allowed = explained(&policy(), &with(request(), large.clone()), 0);
    assert!(allowed["findings"].to_string().contains(&"09".repeat(16)), "{allowed}");
    let late = with(large.clone(), json!({"now": "2026-01-31T12:00:01Z"}));
    assert_eq!(explained(&policy(), &with(request(), late), 1)["reason"], "IntentExpired");
    let other = with(large, json!({"custodyId": "08".repeat(16)}));
    assert_eq!(explained(&policy(), &with(request(), other), 1)["reason"], "IntentMismatch");
}

#[test]
fn an_earlier_local_policy_and_the_hub_hold_too() {
    let mut earlier = local_policy();
    earlier["assets"][0]["perTransaction"] = json!("399");
    let loosened = with(policy(), json!({"earlierPolicies": [earlier]}));
    let refused = explained(&loosened, &request(), 1);
    assert_eq!(refused["reason"], "OverLimit");
    assert!(refused.to_string().contains("loosening delay"), "{refused}");
    let total = json!({"amount": "5", "windowSeconds": 60});
    let limits = json!([{"chain": "eip155:1", "asset": "ETH", "perTransaction": "1000", "total": total}]);
    let limited = with(policy(), json!({"hub": {"limits": limits}}));
    assert_eq!(explained(&limited, &request(), 1)["reason"], "OverWindow");
}

#[test]
fn a_member_trust_is_a_policy_too() {
    let trust = json!({
        "shapeVersion": 1, "profile": "Development", "role": "keeper", "dataCenter": "fra-1",
        "vault": {
            "address": "https://vault:8200", "caBundle": "-----BEGIN CERTIFICATE-----", "authMount": "a",
            "role": "r", "audience": "a", "transitMount": "t", "key": "k",
        },
        "localPolicy": local_policy(),
    });
    assert_eq!(explained(&trust, &request(), 0)["verdict"], "Allowed");
    let mut without_policy = trust.clone();
    without_policy.as_object_mut().unwrap().remove("localPolicy");
    assert!(bad_input(&without_policy.to_string(), &request().to_string()).contains("no local policy"));
    let unknown = with(trust, json!({"shapeVersion": 2}));
    assert!(bad_input(&unknown.to_string(), &request().to_string()).contains("shape version 2"));
}

#[test]
fn what_can_not_be_judged_is_named_in_one_line() {
    let table = [
        (json!({"amounts": "1"}), "amounts"),
        (json!({"amount": "1.5"}), "1.5"),
        (json!({"amount": null}), "asset and amount"),
        (json!({"kind": "cancel"}), "cancel moves nothing"),
        (json!({"kind": "approve"}), "approve"),
        (json!({"to": "0x12"}), "to: "),
        (json!({"wallet": "Alice"}), "wallet id"),
        (json!({"chain": "mainnet"}), "chain id"),
        (json!({"now": "yesterday"}), "yesterday"),
        (json!({"now": "1969-01-01T00:00:00Z"}), "now: "),
        (json!({"spent": [{"limit": "total", "windowSeconds": 86400, "amount": "1"}]}), "no such limit"),
        (json!({"intent": {"body": "", "signer": "", "signature": ""}}), "custodyId"),
        (json!({"custodyId": "00".repeat(16), "intent": {"body": "x", "signer": "", "signature": ""}}), "intent.body"),
    ];
    for (change, named) in table {
        let line = bad_input(&policy().to_string(), &with(request(), change).to_string());
        assert!(line.contains("request: ") && line.contains(named), "{named}: {line}");
    }
    let mut bad_local_policy = local_policy();
    bad_local_policy["assets"][0]["perTransaction"] = json!("lots");
    for (file, named) in [
        (json!({"localPolicy": local_policy(), "hubs": {}}), "hubs"),
        (json!({"localPolicy": bad_local_policy}), "lots"),
        (json!({"localPolicy": local_policy(), "safeDestinations": {"eip155:1": ["0x12"]}}), "0x12"),
        (json!({"hub": {"limits": []}}), "localPolicy"),
    ] {
        let line = bad_input(&file.to_string(), &request().to_string());
        assert!(line.contains("policy: ") && line.contains(named), "{named}: {line}");
    }
}

#[test]
fn the_examples_of_the_help_are_read() {
    let help = Command::new(env!("CARGO_BIN_EXE_multisig")).args(["policy", "test", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let example = |heading: &str| {
        let block = help.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
        let block = block.take_while(|line| !line.is_empty()).filter(|line| !line.contains("HEX"));
        block.map(|line| format!("{line}\n")).collect::<String>()
    };
    let output = Desk::new(&example("FILE:"), &example("REQUEST")).run(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("perTransaction kept:") && text.ends_with("verdict        Allowed\n"), "{text}");
}

#[test]
fn the_examples_of_the_document_are_read() {
    let document = include_str!("../../../docs/policy.md");
    let mut examples = document.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let output = Desk::new(examples.next().unwrap(), examples.next().unwrap()).run(&["-o", "json"]);
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((&explained["verdict"], &explained["reason"]), (&json!("Refused"), &json!("OverWindow")), "{explained}");
    let left: Vec<_> = policy::Rule::ALL.map(policy::Rule::as_str).into();
    assert!(left.iter().all(|rule| document.contains(&format!("| `{rule}` |"))), "a rule is not documented");
}
