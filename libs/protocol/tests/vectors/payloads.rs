//! Requests and responses: as JSON for people and other languages, and as the one encoding.

use chain::Claim;
use custody::Role;
use prost::Message;
use protocol::{
    exact,
    ops::{
        Allowed, Attestation, Batch, CreateWallet, Done, EchoHead, Freeze, Held, Lease, Operation, Outcome, Payment,
        Pending, ReadRecords, Record, RecordState, Records, Refused, RegisterWallet, Request, Response, Responses,
        Settle, Settlement, SettlementState, Signed, Used,
    },
    payment_id,
};
use serde_json::{Value, json};

use crate::{attestations, bytes, hex, keys::noise, read, text};

const CHAIN: &str = "eip155:31337";

enum Payload {
    Request(Box<Request>),
    Response(Response),
}

struct Example {
    name: &'static str,
    value: Value,
    payload: Payload,
}

impl Example {
    fn encoded(&self) -> Vec<u8> {
        match &self.payload {
            Payload::Request(request) => request.encode_to_vec(),
            Payload::Response(response) => response.encode_to_vec(),
        }
    }
}

/// The encoded example of that name.
pub(crate) fn encoded(name: &str) -> Vec<u8> {
    all().iter().find(|one| one.name == name).unwrap().encoded()
}

pub(crate) fn attestation_json(attestation: &Attestation) -> Value {
    let Attestation { body, signer, signature } = attestation;
    json!({"body": hex(body), "signer": hex(signer), "signature": hex(signature)})
}

fn request(name: &'static str, member: &str, value: Value, operation: Operation) -> Example {
    let operation_id = noise::<16>(name).to_vec();
    let value = json!({"operationId": hex(&operation_id), member: value});
    Example { name, value, payload: Payload::Request(Box::new(Request { operation_id, operation: Some(operation) })) }
}

fn response(name: &'static str, member: &str, value: Value, outcome: Outcome) -> Example {
    Example { name, value: json!({member: value}), payload: Payload::Response(Response { outcome: Some(outcome) }) }
}

fn payment() -> (Value, Payment) {
    let payment = Payment {
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        unsigned: noise::<32>("unsigned").to_vec(),
        ..Payment::default()
    };
    (json!({"wallet": "alice", "chain": CHAIN, "unsigned": hex(&payment.unsigned)}), payment)
}

fn with(value: &Value, field: &str, content: Value) -> Value {
    let mut value = value.clone();
    value[field] = content;
    value
}

/// With everything that a payment to an address can carry.
fn full_payment() -> (Value, Payment) {
    let (mut value, payment) = payment();
    let intent = attestations::intent();
    let full = Payment {
        hot_signatures: vec![vec![0x1b; 65]],
        intent: Some(intent.clone()),
        client_key: noise::<32>("client key").to_vec(),
        payment_id: payment_id("default", "order-7").to_vec(),
        ..payment
    };
    value["hotSignature"] = json!(hex(&full.hot_signatures[0]));
    value["intent"] = attestation_json(&intent);
    value["clientKey"] = json!(hex(&full.client_key));
    value["paymentId"] = json!(hex(&full.payment_id));
    (value, full)
}

/// To Cooler, with the head that came with hot's signature.
fn countersigned_payment() -> (Value, Payment) {
    let (mut value, payment) = payment();
    let (signature, head) = (vec![0x1b; 65], attestations::started_head());
    value["hotSignature"] = json!(hex(&signature));
    value["hotHead"] = attestation_json(&head);
    (value, Payment { hot_signatures: vec![signature], hot_head: Some(head), ..payment })
}

fn requests() -> Vec<Example> {
    let create = || CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() };
    let sealed = CreateWallet { client_key: noise::<32>("client key").to_vec(), ..create() };
    let (hot, salt) = (attestations::hot_keys(), noise::<32>("salt").to_vec());
    let chains = vec![CHAIN.to_owned(), "eip155:1".to_owned()];
    let (bare, bare_payment) = payment();
    let (full, full_payment) = full_payment();
    let (countersigned, countersigned_payment) = countersigned_payment();
    let (head, started) = (attestations::head(Role::Cooler), attestations::started_head());
    let settlement = Settlement::new("alice", CHAIN, Claim::Sequence(300), noise::<32>("digest"));
    let settled = json!({"wallet": "alice", "chain": CHAIN, "nonce": 300, "digest": hex(&settlement.digest)});
    let freeze = Freeze { wallet: "alice".to_owned(), reason: "seen elsewhere".to_owned() };
    vec![
        request("create-wallet", "createWallet", json!({"wallet": "alice"}), Operation::CreateWallet(create())),
        request(
            "create-wallet-client-key",
            "createWallet",
            json!({"wallet": "alice", "clientKey": hex(&sealed.client_key)}),
            Operation::CreateWallet(sealed),
        ),
        request(
            "register-wallet",
            "registerWallet",
            json!({"hot": attestation_json(&hot), "chains": chains, "salt": hex(&salt)}),
            Operation::RegisterWallet(RegisterWallet { hot: Some(hot), chains, salt }),
        ),
        request("check", "check", bare.clone(), Operation::Check(bare_payment.clone())),
        request(
            "check-to-wallet",
            "check",
            with(&bare, "toWallet", json!("bob")),
            Operation::Check(Payment { to_wallet: "bob".to_owned(), ..bare_payment.clone() }),
        ),
        request("sign", "sign", bare.clone(), Operation::Sign(bare_payment.clone())),
        request("sign-full", "sign", full, Operation::Sign(full_payment)),
        request("sign-countersigned", "sign", countersigned, Operation::Sign(countersigned_payment)),
        request("announce", "announce", bare, Operation::Announce(bare_payment)),
        request("freeze", "freeze", json!({"wallet": "alice", "reason": "seen elsewhere"}), Operation::Freeze(freeze)),
        request("freeze-everything", "freeze", json!({}), Operation::Freeze(Freeze::default())),
        request(
            "echo-head",
            "echoHead",
            json!({"head": attestation_json(&head)}),
            Operation::EchoHead(EchoHead { head: Some(head), ..EchoHead::default() }),
        ),
        request(
            "echo-head-of-a-start",
            "echoHead",
            json!({"head": attestation_json(&started), "after": hex(noise::<32>("after"))}),
            Operation::EchoHead(EchoHead {
                head: Some(started),
                after: noise::<32>("after").to_vec(),
                ..EchoHead::default()
            }),
        ),
        request(
            "settle",
            "settle",
            json!({"settlements": [settled.clone()]}),
            Operation::Settle(Settle { settlements: vec![settlement.clone()] }),
        ),
        request(
            "settle-used-and-revoked",
            "settle",
            json!({"settlements": [with(&settled, "state", json!(1)), with(&settled, "state", json!(2))]}),
            Operation::Settle(Settle {
                settlements: [SettlementState::Used, SettlementState::Revoked]
                    .map(|state| settlement.clone().stated(state))
                    .into(),
            }),
        ),
        request(
            "lease",
            "lease",
            json!({"untilMs": 1_800_000_300_000u64}),
            Operation::Lease(Lease { until_ms: 1_800_000_300_000 }),
        ),
        request("records", "records", json!({"after": 300}), read_records()),
        request(
            "records-of-a-payment",
            "records",
            json!({"wallet": "alice", "paymentId": hex(payment_id("default", "order-7")), "limit": 10}),
            Operation::Records(ReadRecords {
                wallet: "alice".to_owned(),
                payment_id: payment_id("default", "order-7").to_vec(),
                limit: 10,
                ..ReadRecords::default()
            }),
        ),
        batch(),
    ]
}

fn read_records() -> Operation {
    Operation::Records(ReadRecords { after: 300, ..ReadRecords::default() })
}

/// Two of the same payment: one was signed and outrun, one refused.
fn records() -> (Value, Records) {
    let (operation, digest) = (noise::<16>("recorded").to_vec(), noise::<32>("digest").to_vec());
    let signed = Record {
        number: 301,
        operation_id: operation.clone(),
        payment_id: payment_id("default", "order-7").to_vec(),
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        claims: vec![Used::from(Claim::Sequence(300))],
        digest: digest.clone(),
        state: RecordState::Superseded.into(),
        ..Record::default()
    };
    let coin = Claim::Coin(noise("transaction"), 2);
    let refused = Record {
        number: 302,
        claims: vec![Used::from(coin)],
        state: RecordState::Refused.into(),
        reason: "OverLimit".to_owned(),
        cancel: true,
        ..signed.clone()
    };
    let id = hex(payment_id("default", "order-7"));
    let common = json!({"operationId": hex(&operation), "paymentId": id, "wallet": "alice", "chain": CHAIN,
        "digest": hex(&digest)});
    let with = |more: Value| {
        let mut value = common.clone();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let coin = json!({"coin": {"transaction": hex(noise::<32>("transaction")), "place": 2}});
    let value = json!({
        "records": [
            with(json!({"number": 301, "claims": [{"nonce": 300}], "state": 4})),
            with(json!({"number": 302, "claims": [coin], "state": 2, "reason": "OverLimit", "cancel": true})),
        ],
        "more": true,
        "store": hex(noise::<16>("store")),
        "last": 900,
    });
    let records = vec![signed, refused];
    (value, Records { records, more: true, store: noise::<16>("store").to_vec(), last: 900 })
}

fn batch() -> Example {
    let (value, payment) = payment();
    let items = [
        request(
            "item-1",
            "createWallet",
            json!({"wallet": "bob"}),
            Operation::CreateWallet(CreateWallet { wallet: "bob".to_owned(), ..CreateWallet::default() }),
        ),
        request("item-2", "sign", value, Operation::Sign(payment)),
    ];
    let values: Vec<Value> = items.iter().map(|item| item.value.clone()).collect();
    let requests = items.into_iter().map(|item| match item.payload {
        Payload::Request(request) => *request,
        Payload::Response(_) => unreachable!("all are requests"),
    });
    request("batch", "batch", json!({"requests": values}), Operation::Batch(Batch { requests: requests.collect() }))
}

fn responses() -> Vec<Example> {
    let (hot, record, head) = (attestations::hot_keys(), attestations::record(), attestations::head(Role::Keeper));
    let digest = noise::<32>("digest").to_vec();
    let signed = Signed { digest: digest.clone(), signatures: vec![vec![0x1c; 65]], head: Some(head.clone()) };
    let signed_json =
        json!({"digest": hex(&digest), "signature": hex(&signed.signatures[0]), "head": attestation_json(&head)});
    let refused =
        || Refused { reason: "OverLimit".to_owned(), message: "more than the local policy allows".to_owned() };
    let refused_json = json!({"reason": "OverLimit", "message": "more than the local policy allows"});
    let away = Refused { reason: "VaultSealed".to_owned(), message: "the Vault is sealed; unseal it".to_owned() };
    let waits = Pending { digest: digest.clone(), not_before_ms: 1_800_003_600_000, reason: String::new() };
    let anew = Pending { reason: "AnnouncementLapsed".to_owned(), ..waits.clone() };
    let (read, page) = records();
    let answers = [Outcome::Signed(signed.clone()), Outcome::Refused(refused())];
    let answers = Responses { responses: answers.map(|outcome| Response { outcome: Some(outcome) }).into() };
    vec![
        response("created", "created", attestation_json(&hot), Outcome::Created(hot)),
        response("registered", "registered", attestation_json(&record), Outcome::Registered(record)),
        response(
            "allowed",
            "allowed",
            json!({"digest": hex(&digest)}),
            Outcome::Allowed(Allowed { digest: digest.clone() }),
        ),
        response("signed", "signed", signed_json.clone(), Outcome::Signed(signed)),
        response("refused", "refused", refused_json.clone(), Outcome::Refused(refused())),
        response(
            "unavailable",
            "unavailable",
            json!({"reason": away.reason, "message": away.message}),
            Outcome::Unavailable(away),
        ),
        response(
            "pending",
            "pending",
            json!({"digest": hex(&digest), "notBeforeMs": waits.not_before_ms}),
            Outcome::Pending(waits),
        ),
        response(
            "pending-not-announced",
            "pending",
            json!({"digest": hex(&digest)}),
            Outcome::Pending(Pending { digest: digest.clone(), ..Pending::default() }),
        ),
        response(
            "pending-anew",
            "pending",
            json!({"digest": hex(&digest), "notBeforeMs": anew.not_before_ms, "reason": anew.reason}),
            Outcome::Pending(anew),
        ),
        response(
            "batch-answers",
            "batch",
            json!({"responses": [{"signed": signed_json}, {"refused": refused_json}]}),
            Outcome::Batch(answers),
        ),
        response("done", "done", json!({}), Outcome::Done(Done {})),
        response("held", "held", json!({"head": attestation_json(&head)}), Outcome::Held(Held { head: Some(head) })),
        response("held-nothing", "held", json!({}), Outcome::Held(Held { head: None })),
        response("records-read", "records", read, Outcome::Records(page)),
    ]
}

fn all() -> Vec<Example> {
    let mut all = requests();
    all.extend(responses());
    all
}

/// Bytes that protobuf reads and this protocol does not: each is a request but for one thing.
fn not_exact() -> Value {
    let good = encoded("create-wallet");
    let id = &good[..18];
    let create = &good[18..];
    let cases: [(&str, Vec<u8>); 9] = [
        ("unknown-field", [&good[..], b"\x78\x01"].concat()),
        ("unknown-field-inside", [id, b"\x12\x09\x0a\x05alice\x78\x01"].concat()),
        ("operation-id-twice", [id, id, create].concat()),
        ("two-operations", [&good[..], &encoded("freeze-everything")[18..]].concat()),
        ("fields-out-of-order", [create, id].concat()),
        ("default-written-out", [id, b"\x12\x09\x0a\x05alice\x12\x00"].concat()),
        ("length-in-two-bytes", [id, b"\x12\x87\x00\x0a\x05alice"].concat()),
        ("another-wire-type", [id, b"\x10\x01"].concat()),
        ("truncated", good[..good.len() - 1].to_vec()),
    ];
    cases.into_iter().map(|(name, bytes)| json!({"name": name, "message": "Request", "bytes": hex(bytes)})).collect()
}

pub(crate) fn make() -> Value {
    let good = |example: &Example| {
        let message = match example.payload {
            Payload::Request(_) => "Request",
            Payload::Response(_) => "Response",
        };
        json!({"name": example.name, "message": message, "value": example.value, "bytes": hex(example.encoded())})
    };
    json!({"good": all().iter().map(good).collect::<Vec<_>>(), "notExact": not_exact()})
}

#[test]
fn the_library_reads_every_payload_and_writes_it_again() {
    let file: Value = read("payloads.json");
    for good in file["good"].as_array().unwrap() {
        let encoded = bytes(&good["bytes"]);
        let again = match text(&good["message"]) {
            "Request" => exact::decode::<Request>(&encoded).unwrap().encode_to_vec(),
            _ => exact::decode::<Response>(&encoded).unwrap().encode_to_vec(),
        };
        assert_eq!(again, encoded, "{}", good["name"]);
    }
}

#[test]
fn the_library_refuses_what_is_not_exact() {
    let file: Value = read("payloads.json");
    for bad in file["notExact"].as_array().unwrap() {
        assert!(exact::decode::<Request>(&bytes(&bad["bytes"])).is_err(), "{}", bad["name"]);
    }
}
