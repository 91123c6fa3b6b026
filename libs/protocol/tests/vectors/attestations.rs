//! Statements that outlive their envelope, believed and not.

use custody::Role;
use ed25519_dalek::VerifyingKey;
use prost::Message;
use protocol::{
    attestation::{
        self, AUDIT_HEAD, AttestationError, HOT_KEYS, PAYMENT_INTENT, WALLET_RECORD, attest, attest_audit_head,
        attest_hot_keys, attest_payment_intent, attest_wallet_record,
    },
    ops::{Attestation, AuditHead, ChainAddress, HotKeys, NamespaceKey, PaymentIntent, WalletRecord},
};
use serde_json::{Value, json};

use crate::{
    bytes, hex,
    keys::{CUSTODY, NOW, covered, message_key, noise},
    payloads::attestation_json,
    read, text,
};

const CHAIN: &str = "eip155:31337";
const ADDRESS: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

fn keys() -> Vec<NamespaceKey> {
    let public_key = [&[2], &noise::<32>("hot")[..]].concat();
    vec![NamespaceKey { namespace: "eip155".to_owned(), public_key }]
}

fn keys_json() -> Value {
    json!([{"namespace": "eip155", "publicKey": hex(&keys()[0].public_key)}])
}

fn hot_keys_statement() -> HotKeys {
    HotKeys { custody_id: CUSTODY.to_vec(), wallet: "alice".to_owned(), keys: keys() }
}

/// By Keeper.
pub(crate) fn hot_keys() -> Attestation {
    attest_hot_keys(&hot_keys_statement(), &message_key(Role::Keeper))
}

fn record_statement() -> WalletRecord {
    WalletRecord {
        custody_id: CUSTODY.to_vec(),
        wallet: "alice".to_owned(),
        keys: keys(),
        salt: vec![0; 32],
        addresses: vec![ChainAddress { chain: CHAIN.to_owned(), address: ADDRESS.to_owned() }],
        manifest_digest: noise::<32>("manifest").to_vec(),
    }
}

/// By Keeper.
pub(crate) fn record() -> Attestation {
    attest_wallet_record(&record_statement(), &message_key(Role::Keeper))
}

fn head_statement(role: Role) -> AuditHead {
    AuditHead {
        custody_id: CUSTODY.to_vec(),
        role: role.to_string(),
        count: 1_000,
        hash: noise::<32>("head").to_vec(),
        at_ms: NOW,
        overrides: 1,
        ..AuditHead::default()
    }
}

/// As a start states it that has been vouched for.
fn started(role: Role) -> AuditHead {
    AuditHead { epoch: 12, instance: noise::<16>("instance").to_vec(), ..head_statement(role) }
}

/// With its epoch, by Keeper.
pub(crate) fn started_head() -> Attestation {
    attest_audit_head(&started(Role::Keeper), &message_key(Role::Keeper))
}

/// Of the role's own chain.
pub(crate) fn head(role: Role) -> Attestation {
    attest_audit_head(&head_statement(role), &message_key(role))
}

fn intent_statement() -> PaymentIntent {
    PaymentIntent {
        custody_id: CUSTODY.to_vec(),
        id: noise::<16>("intent").to_vec(),
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        asset: "ETH".to_owned(),
        to: ADDRESS.to_owned(),
        amount: "1000000000000000000000".to_owned(),
        expires_at_ms: NOW + 3_600_000,
    }
}

/// By somebody who is not a party: here the sentinel's key stands for him.
pub(crate) fn intent() -> Attestation {
    attest_payment_intent(&intent_statement(), &message_key(Role::Sentinel))
}

fn case(
    name: &str,
    domain: &str,
    kind: &str,
    statement: Value,
    by: Role,
    attestation: &Attestation,
    result: &str,
) -> Value {
    json!({
        "name": name,
        "domain": domain,
        "kind": kind,
        "accepted": [hex(message_key(by).verifying_key().as_bytes())],
        "statement": statement,
        "covered": hex(covered(domain, &attestation.body)),
        "attestation": attestation_json(attestation),
        "bytes": hex(attestation.encode_to_vec()),
        "result": result,
    })
}

fn good() -> Vec<Value> {
    let custody = hex(CUSTODY);
    let (record, head, intent) = (record_statement(), head_statement(Role::Cooler), intent_statement());
    let hot_json = json!({"custodyId": custody, "wallet": "alice", "keys": keys_json()});
    let record_json = json!({
        "custodyId": custody, "wallet": "alice", "keys": keys_json(), "salt": hex(&record.salt),
        "addresses": [{"chain": CHAIN, "address": ADDRESS}], "manifestDigest": hex(&record.manifest_digest),
    });
    let head_json = json!({
        "custodyId": custody, "role": "cooler", "count": head.count, "hash": hex(&head.hash), "atMs": NOW, "overrides": 1,
    });
    let with_start = started(Role::Keeper);
    let start_json = json!({
        "custodyId": custody, "role": "keeper", "count": head.count, "hash": hex(&head.hash), "atMs": NOW, "overrides": 1,
        "epoch": 12, "instance": hex(&with_start.instance),
    });
    let intent_json = json!({
        "custodyId": custody, "id": hex(&intent.id), "wallet": "alice", "chain": CHAIN, "asset": "ETH", "to": ADDRESS,
        "amount": intent.amount, "expiresAtMs": intent.expires_at_ms,
    });
    let empty = AuditHead { count: 0, hash: vec![0; 32], overrides: 0, ..head_statement(Role::Keeper) };
    let empty_json = json!({"custodyId": custody, "role": "keeper", "hash": hex(&empty.hash), "atMs": NOW});
    let empty = attest_audit_head(&empty, &message_key(Role::Keeper));
    vec![
        case("hot-keys", HOT_KEYS, "HotKeys", hot_json, Role::Keeper, &hot_keys(), "Ok"),
        case("wallet-record", WALLET_RECORD, "WalletRecord", record_json, Role::Keeper, &self::record(), "Ok"),
        case("audit-head", AUDIT_HEAD, "AuditHead", head_json, Role::Cooler, &self::head(Role::Cooler), "Ok"),
        case("audit-head-of-a-start", AUDIT_HEAD, "AuditHead", start_json, Role::Keeper, &started_head(), "Ok"),
        case("empty-audit-head", AUDIT_HEAD, "AuditHead", empty_json, Role::Keeper, &empty, "Ok"),
        case("payment-intent", PAYMENT_INTENT, "PaymentIntent", intent_json, Role::Sentinel, &self::intent(), "Ok"),
    ]
}

fn bad() -> Vec<Value> {
    let bad = |name, domain, kind, by, attestation: &Attestation, result| {
        case(name, domain, kind, Value::Null, by, attestation, result)
    };
    let named =
        Attestation { signer: message_key(Role::Keeper).verifying_key().as_bytes().to_vec(), ..head(Role::Cooler) };
    let mut flipped = hot_keys();
    flipped.signature[0] ^= 1;
    let mut short = hot_keys();
    short.signature.truncate(63);
    let unknown = [&hot_keys_statement().encode_to_vec()[..], b"\x78\x01"].concat();
    let unknown = attest(HOT_KEYS, unknown, &message_key(Role::Keeper));
    vec![
        bad("signer-not-accepted", HOT_KEYS, "HotKeys", Role::Cooler, &hot_keys(), "UnknownSigner"),
        bad("signer-named-but-another-signed", AUDIT_HEAD, "AuditHead", Role::Keeper, &named, "BadSignature"),
        bad("bit-flipped", HOT_KEYS, "HotKeys", Role::Keeper, &flipped, "BadSignature"),
        bad("signature-too-short", HOT_KEYS, "HotKeys", Role::Keeper, &short, "BadSignature"),
        bad("of-another-kind", WALLET_RECORD, "WalletRecord", Role::Keeper, &hot_keys(), "BadSignature"),
        bad("unknown-field", HOT_KEYS, "HotKeys", Role::Keeper, &unknown, "Malformed"),
    ]
}

pub(crate) fn make() -> Value {
    [good(), bad()].concat().into()
}

fn found(case: &Value) -> Result<Vec<u8>, AttestationError> {
    let attestation = protocol::exact::decode(&bytes(&case["bytes"])).unwrap();
    let accepted = bytes(&case["accepted"][0]).try_into().unwrap();
    let accepted = [VerifyingKey::from_bytes(&accepted).unwrap()];
    match text(&case["kind"]) {
        "HotKeys" => attestation::hot_keys(&attestation, &accepted).map(|read| read.encode_to_vec()),
        "WalletRecord" => attestation::wallet_record(&attestation, &accepted).map(|read| read.encode_to_vec()),
        "AuditHead" => attestation::audit_head(&attestation, &accepted).map(|read| read.encode_to_vec()),
        _ => attestation::payment_intent(&attestation, &accepted).map(|read| read.encode_to_vec()),
    }
}

#[test]
fn the_library_believes_what_it_should_and_nothing_else() {
    for case in read::<Vec<Value>>("attestations.json") {
        match found(&case) {
            Ok(statement) => {
                assert_eq!(text(&case["result"]), "Ok", "{}", case["name"]);
                assert_eq!(statement, bytes(&case["attestation"]["body"]));
            }
            Err(error) => assert_eq!(format!("{error:?}"), text(&case["result"]), "{}", case["name"]),
        }
    }
}
