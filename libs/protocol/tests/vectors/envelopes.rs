//! Good envelopes, layer by layer.

use std::collections::VecDeque;

use custody::Role;
use prost::Message;
use protocol::envelope::{Body, Kind, Party, ReplayFilter, RequestTicket};
use rand_core::{CryptoRng, RngCore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    bytes, hex,
    keys::{self, DOMAIN, NOW, covered, message_key, noise, party, seal, sign, subject, xkey_public},
    payloads, read, text,
};

/// One envelope, made by hand.
struct Example {
    name: &'static str,
    from: Role,
    to: Role,
    body: Body,
    ephemeral: [u8; 32],
}

impl Example {
    fn request(name: &'static str, from: Role, to: Role, lane: &str, payload: &str) -> Self {
        let body = Body {
            id: noise::<16>(name).to_vec(),
            subject: subject(to, lane),
            sender: from.to_string(),
            recipient: to.to_string(),
            payload: payloads::encoded(payload),
            ..keys::body()
        };
        Self { name, from, to, body, ephemeral: noise(&format!("{from} to {to}")) }
    }

    fn response(&self, name: &'static str, payload: &str) -> Self {
        let (from, to) = (self.to, self.from);
        let body = Body {
            id: noise::<16>(name).to_vec(),
            in_reply_to: self.digest().to_vec(),
            sender: from.to_string(),
            recipient: to.to_string(),
            kind: Kind::Response.into(),
            payload: payloads::encoded(payload),
            ..self.body.clone()
        };
        Self { name, from, to, body, ephemeral: noise(&format!("{from} to {to}")) }
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(covered(DOMAIN, &self.body.encode_to_vec())).into()
    }

    fn to_json(&self) -> Value {
        let Self { name, from, to, body, ephemeral } = self;
        let encoded = body.encode_to_vec();
        let signed = sign(*from, &encoded);
        let nonce = noise::<24>(&format!("{name} nonce"));
        let sealed = seal(xkey_public(*to), *ephemeral, nonce, &signed.encode_to_vec());
        json!({
            "name": name,
            "from": from,
            "to": to,
            "nowMs": NOW,
            "random": {"id": hex(&body.id), "ephemeralPrivate": hex(ephemeral), "nonce": hex(nonce)},
            "body": {
                "v": body.v,
                "custodyId": hex(&body.custody_id),
                "id": hex(&body.id),
                "inReplyTo": hex(&body.in_reply_to),
                "subject": body.subject,
                "sender": body.sender,
                "recipient": body.recipient,
                "iatMs": body.iat_ms,
                "expMs": body.exp_ms,
                "kind": body.kind,
                "payload": hex(&body.payload),
            },
            "bodyBytes": hex(&encoded),
            "covered": hex(covered(DOMAIN, &encoded)),
            "digest": hex(self.digest()),
            "signature": hex(&signed.sig),
            "signedBytes": hex(signed.encode_to_vec()),
            "ephemeralPublic": hex(&sealed.eph_pub),
            "sealed": hex(sealed.encode_to_vec()),
        })
    }
}

/// Requests and their answers. Two of App's share an ephemeral key, each with a nonce of its own.
pub(crate) fn make() -> Value {
    let first = Example::request("request", Role::App, Role::Keeper, "op", "create-wallet");
    let second = Example::request("request-same-ephemeral", Role::App, Role::Keeper, "op", "batch");
    let peer = Example::request("peer-request", Role::Cooler, Role::Keeper, "peer", "echo-head");
    let lease = Example::request("sentinel-request", Role::Sentinel, Role::Cooler, "sentinel", "lease");
    let answers = [
        first.response("response", "created"),
        second.response("response-to-batch", "batch-answers"),
        peer.response("peer-response", "held-nothing"),
        lease.response("sentinel-response", "done"),
    ];
    [first, second, peer, lease].iter().chain(&answers).map(Example::to_json).collect()
}

/// Gives exactly the bytes that it was given.
struct Script(VecDeque<u8>);

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill_with(|| self.0.pop_front().expect("no more randomness is needed"));
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Script {}

/// The randomness of an envelope in the order in which the library asks for it.
fn script(envelope: &Value) -> Script {
    let random = &envelope["random"];
    Script(["id", "ephemeralPrivate", "nonce"].iter().flat_map(|part| bytes(&random[part])).collect())
}

fn role(value: &Value) -> Role {
    text(value).parse().unwrap()
}

/// The request of that name as the library makes it, and what opens its answer.
pub(crate) fn asked(name: &str) -> (Vec<u8>, RequestTicket) {
    let envelope = read::<Vec<Value>>("envelopes.json").into_iter().find(|one| one["name"] == name).unwrap();
    let body = &envelope["body"];
    let (from, to) = (party(role(&envelope["from"])), role(&envelope["to"]));
    from.request(to, text(&body["subject"]), &bytes(&body["payload"]), NOW, &mut script(&envelope)).unwrap()
}

fn opens(at: &Party, envelope: &Value) -> protocol::envelope::VerifiedRequest {
    let subject = text(&envelope["body"]["subject"]);
    at.open_request(&bytes(&envelope["sealed"]), subject, NOW, &ReplayFilter::default()).unwrap()
}

#[test]
fn the_library_makes_and_opens_every_request() {
    let all: Vec<Value> = read("envelopes.json");
    let requests: Vec<&Value> = all.iter().filter(|one| one["body"]["kind"] == 1).collect();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let (made, ticket) = asked(text(&request["name"]));
        assert_eq!(hex(made), text(&request["sealed"]));
        assert_eq!(hex(ticket.digest()), text(&request["digest"]));
        let opened = opens(&party(role(&request["to"])), request);
        assert_eq!(opened.payload(), bytes(&request["body"]["payload"]));
        assert_eq!(opened.key(), message_key(role(&request["from"])).verifying_key().as_bytes());
    }
}

#[test]
fn the_library_makes_and_opens_every_response() {
    let all: Vec<Value> = read("envelopes.json");
    let responses: Vec<&Value> = all.iter().filter(|one| one["body"]["kind"] == 2).collect();
    assert_eq!(responses.len(), 4);
    for response in responses {
        let request = all.iter().find(|one| one["digest"] == response["body"]["inReplyTo"]).unwrap();
        let answering = party(role(&response["from"]));
        let payload = bytes(&response["body"]["payload"]);
        let made = answering.respond(&opens(&answering, request), &payload, NOW, &mut script(response)).unwrap();
        assert_eq!(hex(&made), text(&response["sealed"]));
        let (_, ticket) = asked(text(&request["name"]));
        assert_eq!(ticket.open_response(&made, NOW).unwrap().payload(), payload);
    }
}

#[test]
fn one_ephemeral_key_makes_both_of_apps_requests() {
    let all: Vec<Value> = read("envelopes.json");
    let (app, named) = (party(Role::App), |name: &str| all.iter().find(|one| one["name"] == name).unwrap());
    let (first, second) = (named("request"), named("request-same-ephemeral"));
    let mut once = script(first);
    let random = &second["random"];
    once.0.extend(bytes(&random["id"]).into_iter().chain(bytes(&random["nonce"])));
    for request in [first, second] {
        let body = &request["body"];
        let (made, _) =
            app.request(Role::Keeper, text(&body["subject"]), &bytes(&body["payload"]), NOW, &mut once).unwrap();
        assert_eq!(hex(made), text(&request["sealed"]));
    }
    assert!(once.0.is_empty());
}
