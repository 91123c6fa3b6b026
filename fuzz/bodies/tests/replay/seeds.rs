//! The inputs that the fuzzer begins with, made from the test vectors and from documents as people write them.

use data_encoding::HEXLOWER;
use fuzz_bodies::SEPARATOR;
use serde_json::{Value, json};

/// One input of a target.
pub(crate) struct Seed {
    pub(crate) target: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Vectors that the fuzzer needs for another reason of refusal; the rest differ in a byte or two.
const REJECTIONS: [&str; 8] = [
    "unknown-field",
    "another-outer-version",
    "to-another-key",
    "box-without-nonce",
    "box-bit-flipped",
    "signed-by-another-role",
    "response-as-request",
    "answer-to-another-request",
];

/// All of them. Names are unique within a target.
pub(crate) fn all() -> Vec<Seed> {
    [envelopes(), operations(), statements(), transactions(), policies(), exports()].into_iter().flatten().collect()
}

fn seed(target: &'static str, name: &str, door: u8, bytes: impl AsRef<[u8]>) -> Seed {
    let bytes = [&[b'0' + door], bytes.as_ref()].concat();
    Seed { target, name: name.to_owned(), bytes }
}

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// As the broker brings them, and the two inner layers of the request and of its answer.
fn envelopes() -> Vec<Seed> {
    let envelopes = vectors(include_str!("../../../../libs/protocol/vectors/envelopes.json"));
    let mut seeds = Vec::new();
    for one in &envelopes[..] {
        seeds.push(seed("envelope", text(&one["name"]), 0, hex(&one["sealed"])));
        let door = if one["body"]["kind"] == 1 { 2 } else { 4 };
        seeds.push(seed("envelope", &format!("{}-body", text(&one["name"])), door, hex(&one["bodyBytes"])));
    }
    seeds.push(seed("envelope", "request-signed", 1, hex(&envelopes[0]["signedBytes"])));
    seeds.push(seed("envelope", "request-changed", 3, [1, 11, 1, 1, 1, 1]));
    seeds.push(seed("envelope", "answer-changed", 5, [2, 7, 0, 0, 1, 163, 24, 92, 80, 0, 9, 1]));
    let rejections = vectors(include_str!("../../../../libs/protocol/vectors/rejections.json"));
    let chosen = rejections.iter().filter(|one| REJECTIONS.contains(&text(&one["name"])));
    seeds.extend(chosen.map(|one| seed("envelope", &format!("not-{}", text(&one["name"])), 0, hex(&one["sealed"]))));
    seeds
}

fn operations() -> Vec<Seed> {
    let file: Value = serde_json::from_str(include_str!("../../../../libs/protocol/vectors/payloads.json")).unwrap();
    let good = file["good"].as_array().unwrap().iter().map(|one| (format!("operation-{}", text(&one["name"])), one));
    let bad = file["notExact"].as_array().unwrap();
    let bad = bad.iter().map(|one| (format!("operation-not-{}", text(&one["name"])), one));
    good.chain(bad).map(|(name, one)| seed("envelope", &name, 6, hex(&one["bytes"]))).collect()
}

fn statements() -> Vec<Seed> {
    let file = vectors(include_str!("../../../../libs/protocol/vectors/attestations.json"));
    let kinds = ["HotKeys", "WalletRecord", "AuditHead", "PaymentIntent"];
    let good = file.iter().filter(|one| one["result"] == "Ok");
    let seeds = good.map(|one| {
        let body = hex(&one["attestation"]["body"]);
        let kind = kinds.iter().position(|kind| one["kind"] == *kind).unwrap() as u8;
        let bytes = [&[kind, body.len() as u8], &body[..]].concat();
        seed("envelope", &format!("statement-{}", text(&one["name"])), 7, bytes)
    });
    seeds.collect()
}

fn transactions() -> Vec<Seed> {
    let seed = |name: &str, door, bytes: &[u8]| seed("transaction", name, door, bytes);
    let file: Value = serde_json::from_str(include_str!("../../../../libs/chain/evm/tests/vectors.json")).unwrap();
    let unsigned = |name: &str| hex(&file[name]["unsigned"]);
    let zero = "0x0000000000000000000000000000000000000000";
    let fields = json!({
        "to": BOB, "value": "1000000000000000000", "data": "0x", "operation": "0", "safeTxGas": "0", "baseGas": "0",
        "gasPrice": "0", "gasToken": zero, "refundReceiver": zero, "nonce": "5",
    });
    let mut delegatecall = unsigned("native");
    delegatecall[4 * 32 - 1] = 1;
    let token_of_another = |mut bytes: Vec<u8>| {
        bytes[12..32].fill(0xbb);
        bytes
    };
    vec![
        seed("native", 0, &unsigned("native")),
        seed("token", 0, &token_of_another(unsigned("erc20"))),
        seed("token-not-listed", 0, &unsigned("erc20")),
        seed("cancel", 0, &unsigned("cancel")),
        seed("delegatecall", 0, &delegatecall),
        seed("cut", 0, &unsigned("native")[..320]),
        seed("fields-native", 1, &[1, 1, 9, 0, 0, 0, 0, 1, 7, 0, 0, 0, 0]),
        seed("fields-token", 1, &[2, 0, 0, 0, 0, 0, 1, 7, 0, 0, 1, 1, 1, 9]),
        seed("fields-refund", 1, &[1, 1, 9, 0, 1, 1, 0, 0, 1, 7, 0, 0, 0, 0]),
        seed("json", 2, fields.to_string().as_bytes()),
        seed("token-padding", 3, &[1, 1, 9, 5, 1, 0, 0, 0, 0, 0, 0, 0, 7]),
        seed("signature", 4, &[7; 33]),
        seed("signature-changed", 4, &[[8; 32].as_slice(), &[1, 64, 7]].concat()),
        seed("chain", 5, b"eip155:8453"),
        seed("address", 5, BOB.as_bytes()),
        seed("amount", 5, b"115792089237316195423570985008687907853269984665640564039457584007913129639935"),
    ]
}

fn local_policy() -> Value {
    json!({
        "assets": [
            {
                "chain": "eip155:1", "symbol": "ETH", "asset": "native", "decimals": 18, "perTransaction": "1000",
                "perWallet": {"amount": "2000", "windowSeconds": 86400}, "total": {"amount": "9000", "windowSeconds": 60},
                "timeLock": {"above": "500", "delaySeconds": 3600}, "intentAbove": "900",
            },
            {
                "chain": "eip155:10", "symbol": "USDT", "asset": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
                "decimals": 6, "perTransaction": "1",
            },
        ],
        "destinations": {"allow": [{"chain": "eip155:1", "address": BOB}], "coolingSeconds": 60},
        "kinds": ["Transfer", "Cancel"],
        "fees": [{"chain": "eip155:1", "ceiling": "5"}],
        "intentSigners": ["928ed2f63c8368f8475bef44c1ced26c667f6b3afe3b33b8e7e2b77f040b0b0b"],
        "looseningDelaySeconds": 3600,
    })
}

fn peer(keys: &Value, role: &str) -> Value {
    json!({"messageKey": keys["roles"][role]["messageKey"], "xkey": keys["roles"][role]["xkey"]})
}

fn policies() -> Vec<Seed> {
    let keys: Value = serde_json::from_str(include_str!("../../../../libs/protocol/vectors/keys.json")).unwrap();
    let trust = json!({
        "shapeVersion": 1, "profile": "Development", "role": "keeper", "dataCenter": "fra-1",
        "vault": {
            "address": "https://vault:8200", "caBundle": "-----BEGIN CERTIFICATE-----", "authMount": "jwt-a",
            "role": "keeper", "audience": "vault-a", "transitMount": "transit", "key": "custody-keeper.keeper",
        },
        "custody": {"id": "07070707070707070707070707070707", "manifestDigest": "ab".repeat(32)},
        "peers": {
            "cooler": [peer(&keys, "cooler")], "app": [peer(&keys, "app")], "sentinel": [peer(&keys, "sentinel")],
        },
        "localPolicy": local_policy(), "keys": "ClientKey", "images": [format!("sha256:{}", "cd".repeat(32))],
    });
    let policy = json!({
        "localPolicy": local_policy(), "earlierPolicies": [local_policy()], "safeDestinations": {"eip155:1": [SAFE]},
        "hub": {"limits": [{"chain": "eip155:1", "asset": "ETH", "perTransaction": "700"}]},
    });
    let request = "wallet: alice\nchain: eip155:1\nkind: transfer\nasset: ETH\nto: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'\n\
                   amount: '400'\nfee: '5'\nnow: 2026-01-31T12:00:00Z\nlistedSince: 2026-01-01T00:00:00Z\n\
                   spent: [{limit: perWallet, windowSeconds: 86400, amount: '1600'}]\n";
    let cancel = json!({"wallet": "alice", "chain": "eip155:1", "kind": "cancel", "to": SAFE}).to_string();
    let pair = |policy: &Value, request: &str| format!("{policy}\n{SEPARATOR}{request}");
    let config = json!({
        "custodyId": "07070707070707070707070707070707", "nats": {"urls": ["tls://nats:4222"], "caBundle": "PEM"},
        "policy": policy["hub"], "vaultKeyGeneration": 2,
        "proposedPeers": {"app": identity(&keys)},
    });
    let report = json!({
        "state": "Serving", "message": "", "identity": identity(&keys), "credentialsGeneration": 1,
        "vaultKeyVersion": 3, "rewrapLeft": 4, "auditHead": {"count": 5, "hash": "ab".repeat(32)},
        "digests": {"manifest": "ab".repeat(32), "policy": "cd".repeat(32), "trust": "ef".repeat(32)}, "version": "0.1.0",
    });
    let seed = |name: &str, door, text: &str| seed("policy_file", name, door, text);
    vec![
        seed("trust", 0, &trust.to_string()),
        seed("try-transfer", 1, &pair(&policy, request)),
        seed("try-cancel", 1, &pair(&policy, &cancel)),
        seed("try-trust", 1, &pair(&trust, request)),
        seed("judge-transfer", 2, "\0\0\u{40}\0\0\0\0\0\0\0\0\0\0\0\u{10}"),
        seed(
            "judge-all",
            2,
            "\u{1}\0\u{7f}\u{1}\u{20}\u{1}\u{1}\u{7f}\u{2}\u{1}\u{30}\u{2}\u{1}\u{7f}\0\0\u{1}\u{1}\0\u{1}",
        ),
        seed("config", 3, &config.to_string()),
        seed("credentials", 3, &json!({"generation": 1, "userJwt": "x"}).to_string()),
        seed("report", 3, &report.to_string()),
        seed("manifest", 4, &manifest()),
        seed("localPolicy", 5, &local_policy().to_string()),
    ]
}

fn identity(keys: &Value) -> Value {
    json!({
        "role": "app", "custodyId": "07070707070707070707070707070707",
        "natsUser": "UAB7VZLAUEF4HCJTXTE4XXLGZYDZUNHG4CGFE4PUFLFWJJHYOFWQ4LSM", "keys": peer(keys, "app"),
        "messageProof": "ab".repeat(64), "natsProof": "cd".repeat(64),
    })
}

fn manifest() -> String {
    let half = |role: &str, identity: &str, point: &str| json!({"version": 1, "role": role, "identity": identity, "keys": {"eip155": format!("0x{point}")}});
    // The generator of secp256k1 and twice that.
    let cool = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let cold = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
    let payload = json!({
        "version": 1, "custodyId": "07070707070707070707070707070707", "revision": 1,
        "cool": half("cool", "928ed2f63c8368f8475bef44c1ced26c667f6b3afe3b33b8e7e2b77f040b0b0b", cool),
        "cold": half("cold", "a41c28bde90cc3591bb2b60e7d5d8cd38ba936dbcc14ab66caf5edc4131c5ff7", cold),
        "safeDestinations": {"eip155:1": [SAFE]},
    });
    let payload = data_encoding::BASE64.encode(payload.to_string().as_bytes());
    json!({"payload": payload, "signatures": [{"role": "cool", "signature": "00".repeat(64)}]}).to_string()
}

fn exports() -> Vec<Seed> {
    let (keeper, cooler) = (export("keeper", &[1, 2, 3]), export("cooler", &[1, 3]));
    let seed = |name: &str, door, bytes: &[u8]| seed("audit_reader", name, door, bytes);
    vec![
        seed("keeper", 0, keeper.as_bytes()),
        seed("empty", 0, export("keeper", &[]).as_bytes()),
        seed("cut", 0, &keeper.as_bytes()[..keeper.len() - 1]),
        seed("side-by-side", 1, format!("{keeper}{SEPARATOR}{cooler}").as_bytes()),
        seed("grown", 1, format!("{}{SEPARATOR}{keeper}", export("keeper", &[1, 2])).as_bytes()),
        seed("genuine", 2, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b'a', 1, b'c', 1, 9, 0, 0]),
        seed("removed", 2, &[&[3][..], &[0; 39], &[1, 1, 0, 0]].concat()),
        seed("rewritten", 2, &[&[3][..], &[0; 39], &[1, 1, 0, 5, 5, 1]].concat()),
        seed("touched", 3, &[&[1][..], &[0; 28], &[0, 0, 200, 2, b' ']].concat()),
    ]
}

fn export(role: &str, digests: &[u8]) -> String {
    let mut head = audit::Head::EMPTY;
    let mut records = Vec::new();
    for digest in digests {
        let entry = audit::Entry {
            at_ms: 1_700_000_000_000 + u64::from(*digest),
            role: role.to_owned(),
            custody_id: vec![7; 16],
            requester: "app".to_owned(),
            operation_id: vec![*digest; 16],
            operation: audit::SIGN.to_owned(),
            wallet: "alice".to_owned(),
            chain: "eip155:1".to_owned(),
            digest: vec![*digest; 32],
            decision: audit::Decision::Signed,
            ..audit::Entry::default()
        };
        let (record, after) = audit::next(&head, entry);
        head = after;
        records.push(Ok::<_, std::io::Error>(record));
    }
    let mut bytes = Vec::new();
    audit::write(&mut bytes, &audit::Header::new(role, vec![7; 16], head), records).unwrap();
    String::from_utf8(bytes).unwrap()
}
