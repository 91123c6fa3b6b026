//! What is dropped, and the reason: the first check that fails, in the order of `docs/protocol.md`.

use std::collections::BTreeSet;

use custody::Role;
use ed25519_dalek::Signer;
use prost::Message;
use protocol::envelope::{Body, Kind, MAX_BYTES, Rejected, ReplayFilter, Sealed, Signed};
use serde_json::{Value, json};

use crate::{
    bytes,
    envelopes::{self, asked},
    hex,
    keys::{NOW, body, covered, message_key, noise, party, seal, sealed, sign, subject, xkey_public},
    read, text,
};

/// The order of the group, 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The points of small order, -1 among them, and numbers beyond the prime.
const BAD_EPHEMERALS: [(&str, &str); 7] = [
    ("zero", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("one", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("order-eight", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    ("order-eight-too", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ("minus-one", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("prime", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("second-encoding-of-nine", "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
];

fn bad(name: &str, reason: &str, bytes: &[u8]) -> Value {
    json!({
        "name": name,
        "reason": reason,
        "opener": "keeper",
        "subject": subject(Role::Keeper, "op"),
        "nowMs": NOW,
        "sealed": hex(bytes),
    })
}

/// A genuine request of App's with another body.
fn with_body(name: &str, reason: &str, change: impl FnOnce(&mut Body)) -> Value {
    let mut body = body();
    change(&mut body);
    bad(name, reason, &sealed(Role::App, Role::Keeper, &body).encode_to_vec())
}

/// A genuine request with another outer layer.
fn with_sealed(name: &str, reason: &str, change: impl FnOnce(&mut Sealed)) -> Value {
    let mut good = sealed(Role::App, Role::Keeper, &body());
    change(&mut good);
    bad(name, reason, &good.encode_to_vec())
}

/// Whatever is in the box.
fn boxed(name: &str, reason: &str, signed: &[u8]) -> Value {
    let sealed = seal(xkey_public(Role::Keeper), noise("ephemeral"), noise("nonce"), signed);
    bad(name, reason, &sealed.encode_to_vec())
}

/// What App takes for an answer to its request.
fn answer(name: &str, reason: &str, from: Role, change: impl FnOnce(&mut Body)) -> Value {
    let mut body = Body {
        in_reply_to: asked_digest("request"),
        sender: from.to_string(),
        recipient: "app".to_owned(),
        kind: Kind::Response.into(),
        ..body()
    };
    change(&mut body);
    let mut value = bad(name, reason, &sealed(from, Role::App, &body).encode_to_vec());
    (value["opener"], value["asResponseTo"]) = (json!("app"), json!("request"));
    value
}

fn asked_digest(name: &str) -> Vec<u8> {
    let all = envelopes::make();
    bytes(&all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["digest"])
}

fn outer() -> Vec<Value> {
    let good = sealed(Role::App, Role::Keeper, &body());
    let encoded = good.encode_to_vec();
    let mut swapped = Sealed { v: 1, ..Sealed::default() }.encode_to_vec();
    swapped.extend(Sealed { eph_pub: good.eph_pub.clone(), ..Sealed::default() }.encode_to_vec());
    swapped.extend(
        Sealed { to_xkey: good.to_xkey.clone(), r#box: good.r#box.clone(), ..Sealed::default() }.encode_to_vec(),
    );
    let mut too_large = bad("too-large", "TooLarge", b"");
    too_large["sealedZeros"] = json!(MAX_BYTES + 1);
    let mut cases = vec![
        too_large,
        bad("empty", "UnknownVersion", b""),
        bad("rubbish", "Malformed", b"rubbish"),
        bad("truncated", "Malformed", &encoded[..encoded.len() - 1]),
        bad("unknown-field", "Malformed", &[&encoded[..], b"\x78\x01"].concat()),
        bad("version-twice", "Malformed", &[b"\x08\x01", &encoded[..]].concat()),
        bad("version-in-two-bytes", "Malformed", &[b"\x08\x81\x00", &encoded[2..]].concat()),
        bad("fields-out-of-order", "Malformed", &swapped),
        with_sealed("another-outer-version", "UnknownVersion", |sealed| sealed.v = 2),
        with_sealed("no-outer-version", "UnknownVersion", |sealed| sealed.v = 0),
        with_sealed("to-another-key", "NotForThisKey", |sealed| sealed.to_xkey = xkey_public(Role::Cooler).to_vec()),
        with_sealed("ephemeral-too-short", "Malformed", |sealed| sealed.eph_pub.truncate(31)),
        with_sealed("ephemeral-highest-bit", "Malformed", |sealed| sealed.eph_pub[31] |= 0x80),
        with_sealed("box-of-another-kind", "Malformed", |sealed| sealed.r#box[3] = b'2'),
        with_sealed("box-without-nonce", "Malformed", |sealed| sealed.r#box.truncate(27)),
        with_sealed("box-without-tag", "NotOpened", |sealed| sealed.r#box.truncate(28 + 15)),
        with_sealed("box-bit-flipped", "NotOpened", |sealed| *sealed.r#box.last_mut().unwrap() ^= 1),
        with_sealed("nonce-bit-flipped", "NotOpened", |sealed| sealed.r#box[4] ^= 1),
        with_sealed("another-ephemeral", "NotOpened", |sealed| sealed.eph_pub = xkey_public(Role::App).to_vec()),
    ];
    cases.extend(BAD_EPHEMERALS.map(|(name, public)| {
        let public = data_encoding::HEXLOWER.decode(public.as_bytes()).unwrap();
        with_sealed(&format!("ephemeral-{name}"), "Malformed", |sealed| sealed.eph_pub = public)
    }));
    cases
}

fn signatures() -> Vec<Value> {
    let encoded = body().encode_to_vec();
    let good = sign(Role::App, &encoded);
    let with = |sig: Vec<u8>| Signed { sig, ..good.clone() }.encode_to_vec();
    let by = |covered: &[u8]| with(message_key(Role::App).sign(covered).to_bytes().to_vec());
    let (mut added, mut carry) = (good.sig.clone(), 0u16);
    for (byte, order) in added[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let unknown_field = [&encoded[..], b"\x78\x01"].concat();
    vec![
        boxed("signed-layer-rubbish", "Malformed", b"rubbish"),
        boxed("signed-layer-unknown-field", "Malformed", &[&good.encode_to_vec()[..], b"\x78\x01"].concat()),
        boxed("body-unknown-field", "Malformed", &sign(Role::App, &unknown_field).encode_to_vec()),
        boxed("signature-too-short", "Malformed", &with(good.sig[..63].to_vec())),
        boxed("signed-by-another-role", "BadSignature", &sign(Role::Cooler, &encoded).encode_to_vec()),
        boxed("signed-without-domain", "BadSignature", &by(&encoded)),
        boxed("signed-in-another-domain", "BadSignature", &by(&covered("multisig.attest.hot.v1", &encoded))),
        boxed("signature-s-beyond-the-order", "BadSignature", &with(added)),
        boxed("signature-bit-flipped", "BadSignature", &{
            let mut sig = good.sig.clone();
            sig[0] ^= 1;
            with(sig)
        }),
    ]
}

fn bodies() -> Vec<Value> {
    let mut replayed = with_body("replayed", "Replayed", |_| {});
    replayed["after"] = json!([replayed["sealed"]]);
    let mut moved = with_body("published-elsewhere", "WrongSubject", |_| {});
    moved["subject"] = json!(subject(Role::Keeper, "peer"));
    let mut late = with_body("expired", "Expired", |_| {});
    late["nowMs"] = json!(NOW + 30_001);
    vec![
        with_body("sender-is-no-role", "UnknownSender", |body| body.sender = "mallory".to_owned()),
        with_body("sender-is-oneself", "UnknownSender", |body| body.sender = "keeper".to_owned()),
        with_body("another-body-version", "UnknownVersion", |body| body.v = 2),
        with_body("for-another-role", "WrongRecipient", |body| body.recipient = "cooler".to_owned()),
        with_body("another-custody", "WrongCustody", |body| body.custody_id = vec![8; 16]),
        with_body("another-subject", "WrongSubject", |body| body.subject = subject(Role::Keeper, "peer")),
        moved,
        with_body("response-as-request", "WrongKind", |body| body.kind = Kind::Response.into()),
        with_body("no-kind", "WrongKind", |body| body.kind = Kind::Unspecified.into()),
        with_body("request-in-reply", "WrongReply", |body| body.in_reply_to = vec![1; 32]),
        with_body("from-the-future", "FromTheFuture", |body| {
            (body.iat_ms, body.exp_ms) = (NOW + 5_001, NOW + 6_000);
        }),
        late,
        with_body("lives-too-long", "BadLifetime", |body| body.exp_ms = NOW + 60_001),
        with_body("does-not-live", "BadLifetime", |body| body.exp_ms = NOW),
        with_body("ends-before-it-begins", "BadLifetime", |body| (body.iat_ms, body.exp_ms) = (NOW + 2, NOW + 1)),
        with_body("id-too-short", "Malformed", |body| body.id.truncate(15)),
        replayed,
    ]
}

fn answers() -> Vec<Value> {
    let mut late = answer("late-answer", "Expired", Role::Keeper, |_| {});
    late["nowMs"] = json!(NOW + 30_001);
    let mut reflected =
        bad("reflected-request", "NotForThisKey", &sealed(Role::App, Role::Keeper, &body()).encode_to_vec());
    (reflected["opener"], reflected["asResponseTo"]) = (json!("app"), json!("request"));
    vec![
        reflected,
        answer("request-as-response", "WrongKind", Role::Keeper, |body| body.kind = Kind::Request.into()),
        answer("answer-to-another-request", "WrongReply", Role::Keeper, |body| {
            body.in_reply_to = asked_digest("request-same-ephemeral");
        }),
        answer("answer-to-nothing", "WrongReply", Role::Keeper, |body| body.in_reply_to.clear()),
        answer("answer-of-another-peer", "WrongReply", Role::Cooler, |_| {}),
        answer("answer-on-another-subject", "WrongSubject", Role::Keeper, |body| {
            body.subject = subject(Role::Cooler, "op")
        }),
        late,
    ]
}

pub(crate) fn make() -> Value {
    [outer(), signatures(), bodies(), answers()].concat().into()
}

fn found(case: &Value) -> Result<(), Rejected> {
    let mut sealed = bytes(&case["sealed"]);
    sealed.resize(sealed.len() + case["sealedZeros"].as_u64().map_or(0, |count| count.try_into().unwrap()), 0);
    let now_ms = case["nowMs"].as_u64().unwrap();
    if let Some(request) = case["asResponseTo"].as_str() {
        return asked(request).1.open_response(&sealed, now_ms).map(drop);
    }
    let (opener, replays) = (party(text(&case["opener"]).parse().unwrap()), ReplayFilter::default());
    for earlier in case["after"].as_array().into_iter().flatten() {
        opener.open_request(&bytes(earlier), text(&case["subject"]), now_ms, &replays).unwrap();
    }
    opener.open_request(&sealed, text(&case["subject"]), now_ms, &replays).map(drop)
}

#[test]
fn the_library_refuses_each_for_its_reason() {
    let cases: Vec<Value> = read("rejections.json");
    for case in &cases {
        assert_eq!(found(case).map_err(Rejected::reason), Err(text(&case["reason"])), "{}", case["name"]);
    }
    let shown: BTreeSet<&str> = cases.iter().map(|case| text(&case["reason"])).collect();
    assert_eq!(shown, Rejected::REASONS.into_iter().collect(), "every reason has an example");
}
