//! Messages: as the broker brings them, and beyond the cryptography, where only a peer that has gone bad could write.

use std::{collections::VecDeque, sync::OnceLock};

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use custody::{CustodyId, Role, identity::PeerKeys};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use prost::Message;
use protocol::{
    attestation::{self, AttestationError},
    envelope::{
        Body, DOMAIN, Kind, MAX_BYTES, MAX_LIFETIME_MS, MAX_SKEW_MS, OwnKeys, Party, Peers, Rejected, ReplayFilter,
        RequestTicket, Sealed, Signed,
    },
    exact,
    ops::{
        Attestation, AuditHead, Batch, HotKeys, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, Operation, PaymentIntent, Request,
        Response, WalletRecord,
    },
};
use rand_core::{CryptoRng, RngCore};
use serde_json::Value;

use crate::input::Input;

const ENVELOPES: &str = include_str!("../../../libs/protocol/vectors/envelopes.json");
const KEYS: &str = include_str!("../../../libs/protocol/vectors/keys.json");
const CUSTODY: [u8; 16] = [7; 16];
/// Of the vectors, Unix milliseconds.
const NOW: u64 = 1_800_000_000_000;

/// Everybody's keys, and the conversation of the vectors: App asks Keeper, Keeper answers.
struct World {
    keeper: Party,
    cooler: Party,
    ticket: RequestTicket,
    subject: String,
    request: Sender,
    answer: Sender,
    /// The requests to Keeper on that subject which were really made.
    requests: Vec<Vec<u8>>,
    /// The one answer to the first of them.
    response: Vec<u8>,
    /// What a changed body begins as.
    body: Body,
    keeper_key: SigningKey,
}

/// Signs and seals whatever it is given, without the library.
struct Sender {
    key: SigningKey,
    to: PublicKey,
    ephemeral: PublicKey,
    shared: SalsaBox,
}

/// Reads `data` as a message from outside, or as a layer within one.
pub fn envelope(data: &[u8]) {
    let world = world();
    let mut input = Input::new(data);
    match input.choice(8) {
        0 => raw(world, input.rest()),
        1 => sealed(world, input.rest()),
        2 => request(world, input.rest()),
        3 => request(world, &changed(world.body.clone(), &mut input).encode_to_vec()),
        4 => answer(world, input.rest()),
        5 => answer(world, &changed(world.reply(), &mut input).encode_to_vec()),
        6 => operations(input.rest()),
        _ => statements(world, &mut input),
    }
}

/// Nobody who lacks the keys makes anything that opens.
fn raw(world: &World, bytes: &[u8]) {
    let replays = ReplayFilter::new(8);
    let opened = world.keeper.open_request(bytes, &world.subject, NOW, &replays);
    let sent = world.requests.iter().any(|request| request == bytes);
    assert_eq!(opened.is_ok(), sent, "opened although nobody sent it, or the reverse");
    assert_eq!(world.ticket.open_response(bytes, NOW).is_ok(), bytes == world.response);
    assert!(world.cooler.open_request(bytes, &world.subject, NOW, &replays).is_err(), "opened by another");
}

/// Any bytes in the box: what is in it is as little believed as the box.
fn sealed(world: &World, signed: &[u8]) {
    let bytes = world.request.seal(signed);
    if world.keeper.open_request(&bytes, &world.subject, NOW, &ReplayFilter::new(8)).is_ok() {
        let signed: Signed = exact::decode(signed).expect("only exact bytes open");
        assert_eq!(signed.sig, world.request.sign(&signed.body), "another signature over the same body");
    }
}

/// Any body that App signs: opened if, and only if, it is a request to this Keeper, here and now.
fn request(world: &World, body: &[u8]) {
    let bytes = world.request.seal(&world.request.signed(body));
    let replays = ReplayFilter::new(8);
    let fits = exact::decode(body).is_ok_and(|body: Body| {
        body.id.len() == 16 && body.in_reply_to.is_empty() && addressed(world, &body, Role::App, Kind::Request)
    });
    let opened = world.keeper.open_request(&bytes, &world.subject, NOW, &replays);
    assert_eq!(opened.is_ok(), fits && bytes.len() <= MAX_BYTES, "{:?}", opened.err());
    if let Ok(opened) = opened {
        let body: Body = exact::decode(body).unwrap();
        assert_eq!((opened.sender(), opened.payload(), opened.iat_ms()), (Role::App, &body.payload[..], body.iat_ms));
        let again = world.keeper.open_request(&bytes, &world.subject, NOW, &replays);
        assert_eq!(again.err(), Some(Rejected::Replayed));
    }
}

/// Any body that Keeper signs, as an answer to App.
fn answer(world: &World, body: &[u8]) {
    let bytes = world.answer.seal(&world.answer.signed(body));
    let fits = exact::decode(body).is_ok_and(|body: Body| {
        body.in_reply_to == world.ticket.digest() && addressed(world, &body, Role::Keeper, Kind::Response)
    });
    let opened = world.ticket.open_response(&bytes, NOW);
    assert_eq!(opened.is_ok(), fits && bytes.len() <= MAX_BYTES, "{:?}", opened.err());
}

/// What holds for requests and answers, said once more and in other words.
fn addressed(world: &World, body: &Body, sender: Role, kind: Kind) -> bool {
    let recipient = if sender == Role::App { "keeper" } else { "app" };
    let lived = i128::from(body.exp_ms) - i128::from(body.iat_ms);
    body.v == 1
        && body.custody_id == CUSTODY
        && body.subject == world.subject
        && body.sender == sender.as_str()
        && body.recipient == recipient
        && body.kind == i32::from(kind)
        && body.iat_ms <= NOW + MAX_SKEW_MS
        && body.exp_ms >= NOW
        && (1..=i128::from(MAX_LIFETIME_MS)).contains(&lived)
}

/// A good body with up to four fields replaced.
fn changed(mut body: Body, input: &mut Input<'_>) -> Body {
    let text = |input: &mut Input<'_>| String::from_utf8_lossy(input.bytes()).into_owned();
    for _ in 0..input.choice(5) {
        match input.choice(12) {
            0 => body.v = input.byte().into(),
            1 => body.custody_id = input.bytes().to_vec(),
            2 => body.id = input.bytes().to_vec(),
            3 => body.in_reply_to = input.bytes().to_vec(),
            4 => body.subject = text(input),
            5 => body.sender = text(input),
            6 => body.recipient = text(input),
            7 => body.iat_ms = input.u64(),
            8 => body.exp_ms = input.u64(),
            9 => body.kind = i8::from_be_bytes([input.byte()]).into(),
            10 => body.payload = input.bytes().to_vec(),
            // Where every comparison is.
            _ => {
                let edge = |input: &mut Input<'_>, of: u64| (of + u64::from(input.choice(3))) - 1;
                let begin = [NOW - MAX_LIFETIME_MS, NOW, NOW + MAX_SKEW_MS][usize::from(input.choice(3))];
                body.iat_ms = edge(input, begin);
                let lives = [0, 1_000, MAX_LIFETIME_MS][usize::from(input.choice(3))];
                body.exp_ms = edge(input, body.iat_ms + lives);
            }
        }
    }
    body
}

/// Requests and responses have one encoding; a batch that may be served keeps its limits.
fn operations(bytes: &[u8]) {
    if let Ok(request) = exact::decode::<Request>(bytes) {
        assert_eq!(request.encode_to_vec(), bytes);
        if let Some(Operation::Batch(batch)) = &request.operation {
            checked(batch);
        }
    }
    if let Ok(response) = exact::decode::<Response>(bytes) {
        assert_eq!(response.encode_to_vec(), bytes);
    }
}

fn checked(batch: &Batch) {
    if batch.check().is_ok() {
        assert!((1..=MAX_BATCH_ITEMS).contains(&batch.requests.len()));
        assert!(batch.encoded_len() <= MAX_BATCH_BYTES);
        assert!(!batch.requests.iter().any(|item| matches!(item.operation, None | Some(Operation::Batch(_)))));
    }
}

/// Attestations: of any body that Keeper signs in one of the domains, and such as nobody signed.
fn statements(world: &World, input: &mut Input<'_>) {
    let keeper = [world.keeper_key.verifying_key()];
    let domain = input.choice(5);
    let name =
        [attestation::HOT_KEYS, attestation::WALLET_RECORD, attestation::AUDIT_HEAD, attestation::PAYMENT_INTENT]
            .get(usize::from(domain));
    match name {
        Some(name) => {
            let body = input.bytes();
            let attested = attestation::attest(name, body.to_vec(), &world.keeper_key);
            let kinds = [
                exact::decode::<HotKeys>(body).is_ok(),
                exact::decode::<WalletRecord>(body).is_ok(),
                exact::decode::<AuditHead>(body).is_ok(),
                exact::decode::<PaymentIntent>(body).is_ok(),
            ];
            let believed = believed(&attested, &keeper).map(|read| read.is_ok());
            let expected: [bool; 4] = std::array::from_fn(|kind| kind == usize::from(domain) && kinds[kind]);
            assert_eq!(believed, expected, "a statement of one kind is none of another");
        }
        None => {
            let attestation = Attestation {
                signer: keeper[0].as_bytes().to_vec(),
                body: input.bytes().to_vec(),
                signature: input.bytes().to_vec(),
            };
            assert!(believed(&attestation, &keeper).iter().all(Result::is_err), "believed, and nobody signed it");
        }
    }
}

/// Read as each kind of statement.
fn believed(attested: &Attestation, by: &[VerifyingKey]) -> [Result<(), AttestationError>; 4] {
    [
        attestation::hot_keys(attested, by).map(drop),
        attestation::wallet_record(attested, by).map(drop),
        attestation::audit_head(attested, by).map(drop),
        attestation::payment_intent(attested, by).map(drop),
    ]
}

impl World {
    fn new() -> Self {
        let keys: Value = serde_json::from_str(KEYS).unwrap();
        let envelopes: Vec<Value> = serde_json::from_str(ENVELOPES).unwrap();
        let named = |name: &str| envelopes.iter().find(|one| one["name"] == name).unwrap();
        let (request, response) = (named("request"), named("response"));
        let body: Body = exact::decode(&hex(&request["bodyBytes"])).unwrap();
        let random = &request["random"];
        let mut script =
            Script(["id", "ephemeralPrivate", "nonce"].iter().flat_map(|part| hex(&random[part])).collect());
        let app = party(&keys, Role::App);
        let (made, ticket) = app.request(Role::Keeper, &body.subject, &body.payload, NOW, &mut script).unwrap();
        assert_eq!(made, hex(&request["sealed"]), "the vectors are of another version");
        let here = |one: &&Value| one["body"]["kind"] == 1 && one["body"]["subject"] == body.subject;
        Self {
            keeper: party(&keys, Role::Keeper),
            cooler: party(&keys, Role::Cooler),
            ticket,
            subject: body.subject.clone(),
            request: Sender::new(&keys, Role::App, Role::Keeper),
            answer: Sender::new(&keys, Role::Keeper, Role::App),
            requests: envelopes.iter().filter(here).map(|one| hex(&one["sealed"])).collect(),
            response: hex(&response["sealed"]),
            body,
            keeper_key: SigningKey::from_bytes(&seed(&keys, Role::Keeper, "messageSeed")),
        }
    }

    /// Keeper's answer, before anything about it is changed.
    fn reply(&self) -> Body {
        Body {
            in_reply_to: self.ticket.digest().to_vec(),
            sender: Role::Keeper.to_string(),
            recipient: Role::App.to_string(),
            kind: Kind::Response.into(),
            ..self.body.clone()
        }
    }
}

impl Sender {
    fn new(keys: &Value, from: Role, to: Role) -> Self {
        let ephemeral = SecretKey::from_bytes([0x42; 32]);
        let to = SecretKey::from_bytes(seed(keys, to, "xkeyPrivate")).public_key();
        let key = SigningKey::from_bytes(&seed(keys, from, "messageSeed"));
        Self { key, shared: SalsaBox::new(&to, &ephemeral), ephemeral: ephemeral.public_key(), to }
    }

    fn sign(&self, body: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
        let covered = [&length(DOMAIN.as_bytes())[..], DOMAIN.as_bytes(), &length(body), body].concat();
        self.key.sign(&covered).to_bytes().to_vec()
    }

    fn signed(&self, body: &[u8]) -> Vec<u8> {
        Signed { body: body.to_vec(), sig: self.sign(body) }.encode_to_vec()
    }

    fn seal(&self, signed: &[u8]) -> Vec<u8> {
        let nonce = [9; 24];
        let ciphertext = self.shared.encrypt(&nonce.into(), signed).unwrap();
        let sealed = Sealed {
            v: 1,
            to_xkey: self.to.as_bytes().to_vec(),
            eph_pub: self.ephemeral.as_bytes().to_vec(),
            r#box: [b"xkv1", &nonce[..], &ciphertext].concat(),
        };
        sealed.encode_to_vec()
    }
}

/// A role that knows all others.
fn party(keys: &Value, role: Role) -> Party {
    let own = |role| OwnKeys::from_seeds(&seed(keys, role, "messageSeed"), &seed(keys, role, "xkeyPrivate"));
    let others = Role::ALL.into_iter().filter(|other| *other != role);
    let peers = others.map(|other| (other, vec![PeerKeys::clone(own(other).public())])).collect();
    let custody = CustodyId::from_slice(&CUSTODY).unwrap();
    Party::new(custody, role, own(role).into(), Peers::new(&peers).unwrap()).unwrap()
}

fn seed(keys: &Value, role: Role, which: &str) -> [u8; 32] {
    hex(&keys["roles"][role.as_str()][which]).try_into().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
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
