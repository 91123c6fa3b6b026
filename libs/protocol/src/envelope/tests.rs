use std::{collections::BTreeMap, sync::Arc};

use custody::{CustodyId, Role, identity::PeerKeys};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use prost::Message;
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use super::{keys::Peer, *};

const NOW: u64 = 1_800_000_000_000;
const SUBJECT: &str = "ms.07070707070707070707070707070707.keeper.op";

/// SHA-256 of a counter: the same bytes in every run.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&Sha256::digest(self.0.to_be_bytes())[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Counter {}

fn rng() -> Counter {
    Counter(0)
}

fn custody(fill: u8) -> CustodyId {
    CustodyId::from_slice(&[fill; 16]).unwrap()
}

fn keys(fill: u8) -> Arc<OwnKeys> {
    Arc::new(OwnKeys::from_seeds(&[fill; 32], &[fill + 100; 32]))
}

fn role_fill(role: Role) -> u8 {
    match role {
        Role::Keeper => 1,
        Role::Cooler => 2,
        Role::App => 3,
        Role::Sentinel => 4,
    }
}

fn public(fill: u8) -> PeerKeys {
    keys(fill).public().clone()
}

/// All roles but `own`, each with its one key.
fn peers_of(own: Role) -> BTreeMap<Role, Vec<PeerKeys>> {
    let others = Role::ALL.into_iter().filter(|role| *role != own);
    others.map(|role| (role, vec![public(role_fill(role))])).collect()
}

fn party_in(custody: CustodyId, role: Role) -> Party {
    Party::new(custody, role, keys(role_fill(role)), Peers::new(&peers_of(role)).unwrap()).unwrap()
}

fn party(role: Role) -> Party {
    party_in(custody(7), role)
}

fn request() -> (Vec<u8>, RequestTicket) {
    party(Role::App).request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng()).unwrap()
}

fn open(bytes: &[u8]) -> Result<VerifiedRequest, Rejected> {
    open_at(bytes, NOW)
}

fn open_at(bytes: &[u8], now_ms: u64) -> Result<VerifiedRequest, Rejected> {
    party(Role::Keeper).open_request(bytes, SUBJECT, now_ms, &ReplayFilter::default())
}

fn reason(result: Result<VerifiedRequest, Rejected>) -> Option<Rejected> {
    result.err()
}

/// What App sends to Keeper, before it is changed, signed and sealed.
fn body() -> Body {
    Body {
        v: 1,
        custody_id: vec![7; 16],
        id: vec![9; 16],
        in_reply_to: Vec::new(),
        subject: SUBJECT.to_owned(),
        sender: "app".to_owned(),
        recipient: "keeper".to_owned(),
        iat_ms: NOW,
        exp_ms: NOW + 1_000,
        kind: Kind::Request.into(),
        payload: b"pay".to_vec(),
    }
}

/// Signed by `from` whatever the body says, and sealed to Keeper.
fn sealed_by(from: Role, body: &Body) -> Vec<u8> {
    let keeper = Peers::new(&BTreeMap::from([(Role::Keeper, vec![public(1)])])).unwrap();
    party(from).seal(body, &keeper.of(Role::Keeper)[0], &mut rng()).unwrap().0
}

fn opened(change: impl FnOnce(&mut Body)) -> Result<VerifiedRequest, Rejected> {
    let mut body = body();
    change(&mut body);
    open(&sealed_by(Role::App, &body))
}

fn changed(bytes: &[u8], change: impl FnOnce(&mut Sealed)) -> Vec<u8> {
    let mut sealed = Sealed::decode(bytes).unwrap();
    change(&mut sealed);
    sealed.encode_to_vec()
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let (bytes, ticket) = request();
    let request = open(&bytes).unwrap();
    assert_eq!((request.sender(), request.subject(), request.payload()), (Role::App, SUBJECT, &b"pay"[..]));
    assert_eq!((request.digest(), request.iat_ms()), (ticket.digest(), NOW));
    assert_eq!(request.key(), keys(3).message_key().verifying_key().as_bytes());
}

#[test]
fn an_answer_arrives_at_whoever_asked() {
    let (bytes, ticket) = request();
    let answer = party(Role::Keeper).respond(&open(&bytes).unwrap(), b"paid", NOW + 5, &mut Counter(50)).unwrap();
    let response = ticket.open_response(&answer, NOW + 9).unwrap();
    assert_eq!((response.payload(), response.iat_ms()), (&b"paid"[..], NOW + 5));
}

#[test]
fn a_retry_is_another_envelope_around_the_same_payload() {
    let app = party(Role::App);
    let (first, _) = app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut Counter(0)).unwrap();
    let (second, _) = app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut Counter(9)).unwrap();
    let filter = ReplayFilter::default();
    let keeper = party(Role::Keeper);
    let first = keeper.open_request(&first, SUBJECT, NOW, &filter).unwrap();
    let second = keeper.open_request(&second, SUBJECT, NOW, &filter).unwrap();
    assert_ne!(first.digest(), second.digest());
    assert_eq!(first.payload_digest(), second.payload_digest());
}

#[test]
fn the_box_is_a_nats_xkey_box() {
    let (bytes, _) = request();
    let sealed = Sealed::decode(&bytes[..]).unwrap();
    let keeper = nkeys::XKey::new_from_raw(*keys(1).xkey_seed());
    let text = [&[23u8 << 3][..], &sealed.eph_pub].concat();
    let ephemeral = nkeys::XKey::from_public_key(&with_checksum(text)).unwrap();
    let signed = Signed::decode(&keeper.open(&sealed.r#box, &ephemeral).unwrap()[..]).unwrap();
    assert_eq!(Body::decode(&signed.body[..]).unwrap().payload, b"pay");
}

/// Text of an NKey: CRC-16/XMODEM after the bytes, base32.
fn with_checksum(mut bytes: Vec<u8>) -> String {
    let crc = bytes.iter().fold(0u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 },
        )
    });
    bytes.extend_from_slice(&crc.to_le_bytes());
    data_encoding::BASE32_NOPAD.encode(&bytes)
}

#[test]
fn too_large_is_refused_unread_and_never_sent() {
    assert_eq!(reason(open(&vec![0; MAX_BYTES + 1])), Some(Rejected::TooLarge));
    for size in [MAX_BYTES - 100, MAX_BYTES, MAX_BYTES * 2] {
        let sent = party(Role::App).request(Role::Keeper, SUBJECT, &vec![0; size], NOW, &mut rng());
        assert!(matches!(sent, Err(SealError::TooLarge(_))), "{size}");
    }
    let fits = party(Role::App).request(Role::Keeper, SUBJECT, &vec![0; MAX_BYTES - 600], NOW, &mut rng()).unwrap().0;
    assert!(open(&fits).is_ok());
}

#[test]
fn rubbish_and_unknown_fields_are_malformed() {
    let (bytes, _) = request();
    assert_eq!(reason(open(b"")), Some(Rejected::UnknownVersion));
    assert_eq!(reason(open(b"rubbish")), Some(Rejected::Malformed));
    assert_eq!(reason(open(&[&bytes[..], b"\x78\x01"].concat())), Some(Rejected::Malformed));
    assert_eq!(reason(open(&changed(&bytes, |sealed| sealed.eph_pub.truncate(31)))), Some(Rejected::Malformed));
    assert_eq!(reason(open(&changed(&bytes, |sealed| sealed.r#box.truncate(27)))), Some(Rejected::Malformed));
    assert_eq!(reason(opened(|body| body.id.truncate(15))), Some(Rejected::Malformed));
}

#[test]
fn another_version_of_any_layer_is_refused() {
    let (bytes, _) = request();
    assert_eq!(reason(open(&changed(&bytes, |sealed| sealed.v = 2))), Some(Rejected::UnknownVersion));
    assert_eq!(reason(opened(|body| body.v = 2)), Some(Rejected::UnknownVersion));
}

#[test]
fn sealed_for_another_is_refused() {
    let (bytes, _) = request();
    let as_cooler = party(Role::Cooler).open_request(&bytes, SUBJECT, NOW, &ReplayFilter::default());
    assert_eq!(reason(as_cooler), Some(Rejected::NotForThisKey));
    let cooler = HEXLOWER.decode(public(2).message_key.as_bytes()).unwrap();
    assert_eq!(reason(open(&changed(&bytes, |sealed| sealed.to_xkey = cooler))), Some(Rejected::NotForThisKey));
}

#[test]
fn a_box_of_another_message_does_not_open() {
    let (bytes, _) = request();
    let other = party(Role::App).request(Role::Keeper, SUBJECT, b"pay", NOW, &mut Counter(9)).unwrap().0;
    let other = Sealed::decode(&other[..]).unwrap().eph_pub;
    assert_eq!(reason(open(&changed(&bytes, |sealed| sealed.eph_pub = other))), Some(Rejected::NotOpened));
}

#[test]
fn an_ephemeral_key_serves_one_peer_for_a_minute_with_a_new_nonce_each_time() {
    let app = party(Role::App);
    let mut rng = rng();
    let mut sent = |to, now_ms| {
        let (bytes, _) = app.request(to, SUBJECT, b"pay", now_ms, &mut rng).unwrap();
        let Sealed { eph_pub, r#box, .. } = Sealed::decode(&bytes[..]).unwrap();
        (eph_pub, r#box[4..28].to_vec())
    };
    let (first, nonce) = sent(Role::Keeper, NOW);
    let (second, other_nonce) = sent(Role::Keeper, NOW + MAX_EPHEMERAL_MS - 1);
    assert_eq!(first, second);
    assert_ne!(nonce, other_nonce);
    assert_ne!(sent(Role::Cooler, NOW).0, first, "another peer, another key");
    let renewed = sent(Role::Keeper, NOW + MAX_EPHEMERAL_MS).0;
    assert_ne!(renewed, first);
    assert_ne!(sent(Role::Keeper, NOW).0, renewed, "the clock was put back");
}

#[test]
fn an_ephemeral_key_is_not_shared_with_the_next_key_of_a_peer() {
    let keys = keys(3);
    let mut rng = rng();
    let mut sent = |keeper: u8| {
        let peers = Peers::new(&BTreeMap::from([(Role::Keeper, vec![public(keeper)])])).unwrap();
        let app = Party::new(custody(7), Role::App, keys.clone(), peers).unwrap();
        let (bytes, _) = app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng).unwrap();
        Sealed::decode(&bytes[..]).unwrap().eph_pub
    };
    let (present, next) = (sent(1), sent(30));
    assert_ne!(present, next);
    assert_eq!(sent(1), present, "other peers, the same own keys: still in use");
}

/// The same messages under one ephemeral key, opened by one party: what is remembered makes no difference.
#[test]
fn a_remembered_key_opens_what_was_sealed_with_it_and_nothing_else() {
    let (app, keeper, filter) = (party(Role::App), party(Role::Keeper), ReplayFilter::default());
    let mut rng = rng();
    let mut sent = || app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng).unwrap().0;
    let (first, second) = (sent(), sent());
    assert!(keeper.open_request(&first, SUBJECT, NOW, &filter).is_ok());
    assert!(keeper.keys().shared().receiving.get(&ephemeral_of(&first), NOW).is_some());
    for bit in 0..second.len() * 8 {
        let mut flipped = second.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(keeper.open_request(&flipped, SUBJECT, NOW, &filter).is_err(), "bit {bit}");
    }
    assert_eq!(reason(keeper.open_request(&first, SUBJECT, NOW, &filter)), Some(Rejected::Replayed));
    assert!(keeper.open_request(&second, SUBJECT, NOW, &filter).is_ok());
}

#[test]
fn a_remembered_key_is_of_no_use_to_the_next_own_key() {
    let (bytes, _) = request();
    let peers = || Peers::new(&peers_of(Role::Keeper)).unwrap();
    let (present, next) = (keys(1), keys(30));
    let before = Party::new(custody(7), Role::Keeper, present, peers()).unwrap();
    assert!(before.open_request(&bytes, SUBJECT, NOW, &ReplayFilter::default()).is_ok());
    let after = Party::new(custody(7), Role::Keeper, next.clone(), peers()).unwrap();
    assert_eq!(
        reason(after.open_request(&bytes, SUBJECT, NOW, &ReplayFilter::default())),
        Some(Rejected::NotForThisKey)
    );
    // Even with the new key's address on it.
    let own = nkeys::XKey::new_from_raw(*next.xkey_seed()).public_key();
    let own = nkeys::from_public_key(&own).unwrap().1.to_vec();
    let moved = changed(&bytes, |sealed| sealed.to_xkey = own);
    assert_eq!(reason(after.open_request(&moved, SUBJECT, NOW, &ReplayFilter::default())), Some(Rejected::NotOpened));
}

#[test]
fn many_threads_seal_and_open_with_the_same_keys() {
    let (app, keeper, filter) = (party(Role::App), party(Role::Keeper), ReplayFilter::default());
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let (app, keeper, filter) = (&app, &keeper, &filter);
            scope.spawn(move || {
                for count in 0..50 {
                    // Clocks of threads differ a little, and the key is renewed meanwhile.
                    let now_ms = NOW + MAX_EPHEMERAL_MS - 20 + count - thread % 3;
                    let mut rng = Counter(thread << 32 | count << 8);
                    let (bytes, ticket) = app.request(Role::Keeper, SUBJECT, b"pay", now_ms, &mut rng).unwrap();
                    let request = keeper.open_request(&bytes, SUBJECT, now_ms, filter).unwrap();
                    let answer = keeper.respond(&request, b"paid", now_ms, &mut rng).unwrap();
                    assert_eq!(ticket.open_response(&answer, now_ms).unwrap().payload(), b"paid");
                }
            });
        }
    });
}

#[test]
fn only_the_keys_of_approved_senders_are_remembered() {
    let keeper = party(Role::Keeper);
    let forged = sealed_by(Role::Cooler, &body());
    let refused = keeper.open_request(&forged, SUBJECT, NOW, &ReplayFilter::default());
    assert_eq!(reason(refused), Some(Rejected::BadSignature));
    assert!(keeper.keys().shared().receiving.get(&ephemeral_of(&forged), NOW).is_none());
}

fn ephemeral_of(bytes: &[u8]) -> [u8; 32] {
    Sealed::decode(bytes).unwrap().eph_pub.try_into().unwrap()
}

#[test]
fn an_ephemeral_key_of_small_order_or_in_a_second_encoding_is_refused() {
    let (bytes, _) = request();
    let with = |public: Vec<u8>| reason(open(&changed(&bytes, |sealed| sealed.eph_pub = public)));
    let mut minus_one = vec![0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let beyond_the_prime = [&[0xf6], &minus_one[1..]].concat();
    let mut highest_bit = ephemeral_of(&bytes).to_vec();
    highest_bit[31] |= 0x80;
    for weak in [vec![0; 32], minus_one, beyond_the_prime, highest_bit] {
        assert_eq!(with(weak), Some(Rejected::Malformed));
    }
}

#[test]
fn a_sender_that_is_no_peer_is_refused() {
    assert_eq!(reason(opened(|body| body.sender = "mallory".to_owned())), Some(Rejected::UnknownSender));
    let own = reason(opened(|body| body.sender = "keeper".to_owned()));
    assert_eq!(own, Some(Rejected::UnknownSender), "the own role is nobody's sender");
}

#[test]
fn a_forged_sender_is_refused() {
    assert_eq!(reason(open(&sealed_by(Role::Cooler, &body()))), Some(Rejected::BadSignature));
    let (bytes, _) = request();
    let rotated = BTreeMap::from([(Role::App, vec![public(30), public(31)])]);
    let keeper = Party::new(custody(7), Role::Keeper, keys(1), Peers::new(&rotated).unwrap()).unwrap();
    let dropped_key = keeper.open_request(&bytes, SUBJECT, NOW, &ReplayFilter::default());
    assert_eq!(reason(dropped_key), Some(Rejected::BadSignature));
}

#[test]
fn stripped_and_signed_anew_is_refused() {
    // A peer that can read the request (here Keeper itself) passes it on as its own.
    let theirs = party(Role::Cooler).peers().of(Role::Keeper)[0].clone();
    let (bytes, _) = party(Role::Keeper).seal(&body(), &theirs, &mut rng()).unwrap();
    assert_eq!(reason(open(&bytes)), Some(Rejected::BadSignature));
}

#[test]
fn passed_on_to_another_role_is_refused() {
    // Cooler seals what App signed for it to Keeper, signature untouched.
    let for_cooler = Body { recipient: "cooler".to_owned(), ..body() };
    assert_eq!(reason(open(&sealed_by(Role::App, &for_cooler))), Some(Rejected::WrongRecipient));
}

#[test]
fn another_custody_is_refused() {
    let app = party_in(custody(8), Role::App);
    let (bytes, _) = app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng()).unwrap();
    assert_eq!(reason(open(&bytes)), Some(Rejected::WrongCustody));
}

#[test]
fn another_subject_is_refused() {
    let (bytes, _) = request();
    let other = SUBJECT.replace(".op", ".peer");
    let moved = party(Role::Keeper).open_request(&bytes, &other, NOW, &ReplayFilter::default());
    assert_eq!(reason(moved), Some(Rejected::WrongSubject));
}

#[test]
fn a_response_is_no_request_and_a_request_no_response() {
    assert_eq!(reason(opened(|body| body.kind = Kind::Response.into())), Some(Rejected::WrongKind));
    assert_eq!(reason(opened(|body| body.kind = Kind::Unspecified.into())), Some(Rejected::WrongKind));
    assert_eq!(reason(opened(|body| body.in_reply_to = vec![1; 32])), Some(Rejected::WrongReply));
    let (_, ticket) = party(Role::Keeper).request(Role::App, SUBJECT, b"x", NOW, &mut rng()).unwrap();
    let keeper_peer = party(Role::App).peers().of(Role::Keeper)[0].clone();
    let (request, _) = party(Role::App).seal(&body(), &keeper_peer, &mut rng()).unwrap();
    assert_eq!(ticket.open_response(&request, NOW).err(), Some(Rejected::WrongKind));
}

#[test]
fn a_reflected_request_is_refused() {
    let (bytes, ticket) = request();
    assert_eq!(ticket.open_response(&bytes, NOW).err(), Some(Rejected::NotForThisKey));
}

#[test]
fn swapped_answers_are_refused() {
    let app = party(Role::App);
    let (first, first_ticket) = app.request(Role::Keeper, SUBJECT, b"one", NOW, &mut Counter(0)).unwrap();
    let (second, second_ticket) = app.request(Role::Keeper, SUBJECT, b"two", NOW, &mut Counter(9)).unwrap();
    let answer = |bytes: &[u8]| party(Role::Keeper).respond(&open(bytes).unwrap(), b"ok", NOW, &mut rng()).unwrap();
    assert_eq!(first_ticket.open_response(&answer(&second), NOW).err(), Some(Rejected::WrongReply));
    assert_eq!(second_ticket.open_response(&answer(&first), NOW).err(), Some(Rejected::WrongReply));
    assert!(first_ticket.open_response(&answer(&first), NOW).is_ok());
}

#[test]
fn an_answer_of_another_peer_is_refused() {
    let (bytes, ticket) = request();
    let app: Peer = party(Role::Cooler).peers().of(Role::App)[0].clone();
    let answer = Body {
        sender: "cooler".to_owned(),
        recipient: "app".to_owned(),
        kind: Kind::Response.into(),
        in_reply_to: ticket.digest().to_vec(),
        ..body()
    };
    let (answer, _) = party(Role::Cooler).seal(&answer, &app, &mut rng()).unwrap();
    assert!(open(&bytes).is_ok());
    assert_eq!(ticket.open_response(&answer, NOW).err(), Some(Rejected::WrongReply));
}

#[test]
fn the_future_is_refused_beyond_the_skew() {
    let ahead = |by| reason(opened(|body| (body.iat_ms, body.exp_ms) = (NOW + by, NOW + by + 1_000)));
    assert_eq!(ahead(MAX_SKEW_MS), None);
    assert_eq!(
        ahead(MAX_SKEW_MS + 1),
        Some(Rejected::FromTheFuture(Made { by: Role::App, at_ms: NOW + MAX_SKEW_MS + 1 }))
    );
}

#[test]
fn late_is_refused() {
    let (bytes, ticket) = request();
    assert_eq!(reason(open_at(&bytes, NOW + LIFETIME_MS)), None);
    let made = |by| Rejected::Expired(Made { by, at_ms: NOW });
    assert_eq!(reason(open_at(&bytes, NOW + LIFETIME_MS + 1)), Some(made(Role::App)));
    let answer = party(Role::Keeper).respond(&open(&bytes).unwrap(), b"paid", NOW, &mut rng()).unwrap();
    assert_eq!(ticket.open_response(&answer, NOW + LIFETIME_MS + 1).err(), Some(made(Role::Keeper)));
}

#[test]
fn a_life_beyond_a_minute_or_none_is_refused() {
    assert_eq!(reason(opened(|body| body.exp_ms = NOW + MAX_LIFETIME_MS)), None);
    assert_eq!(reason(opened(|body| body.exp_ms = NOW + MAX_LIFETIME_MS + 1)), Some(Rejected::BadLifetime));
    assert_eq!(reason(opened(|body| body.exp_ms = NOW)), Some(Rejected::BadLifetime));
    let backwards = opened(|body| (body.iat_ms, body.exp_ms) = (NOW + 2, NOW + 1));
    assert_eq!(reason(backwards), Some(Rejected::BadLifetime));
    assert_eq!(reason(opened(|body| (body.iat_ms, body.exp_ms) = (0, u64::MAX))), Some(Rejected::BadLifetime));
}

#[test]
fn a_repeated_request_is_refused() {
    let (bytes, _) = request();
    let (filter, keeper) = (ReplayFilter::default(), party(Role::Keeper));
    assert!(keeper.open_request(&bytes, SUBJECT, NOW, &filter).is_ok());
    assert_eq!(reason(keeper.open_request(&bytes, SUBJECT, NOW, &filter)), Some(Rejected::Replayed));
}

#[test]
fn a_refused_request_does_not_block_the_genuine_one() {
    let (bytes, _) = request();
    let (filter, keeper) = (ReplayFilter::default(), party(Role::Keeper));
    assert_eq!(reason(keeper.open_request(&bytes, "elsewhere", NOW, &filter)), Some(Rejected::WrongSubject));
    assert!(keeper.open_request(&bytes, SUBJECT, NOW, &filter).is_ok());
}

#[test]
fn while_a_peer_rotates_both_its_keys_are_heard_and_answered() {
    let both = BTreeMap::from([(Role::App, vec![public(3), public(33)])]);
    let keeper = Party::new(custody(7), Role::Keeper, keys(1), Peers::new(&both).unwrap()).unwrap();
    let rotated = Party::new(custody(7), Role::App, keys(33), Peers::new(&peers_of(Role::App)).unwrap()).unwrap();
    for app in [party(Role::App), rotated] {
        let (bytes, ticket) = app.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng()).unwrap();
        let request = keeper.open_request(&bytes, SUBJECT, NOW, &ReplayFilter::default()).unwrap();
        assert_eq!(request.key(), app.keys().message_key().verifying_key().as_bytes());
        let answer = keeper.respond(&request, b"paid", NOW, &mut rng()).unwrap();
        assert!(ticket.open_response(&answer, NOW).is_ok(), "sealed to the keys that asked");
    }
}

#[test]
fn nothing_is_sent_to_a_peer_that_nobody_approved() {
    let lonely = Party::new(custody(7), Role::App, keys(3), Peers::default()).unwrap();
    let sent = lonely.request(Role::Keeper, SUBJECT, b"pay", NOW, &mut rng());
    assert_eq!(sent.err(), Some(SealError::UnknownPeer(Role::Keeper)));
}

#[test]
fn peers_that_are_malformed_too_many_double_or_oneself_are_refused() {
    let with = |role, keys: Vec<PeerKeys>| Peers::new(&BTreeMap::from([(role, keys)])).err();
    let bad_message = PeerKeys { message_key: "00".repeat(32), ..public(1) };
    let bad_xkey = PeerKeys { xkey: public(1).xkey.replace('X', "U"), ..public(1) };
    let weak_xkey = PeerKeys { xkey: with_checksum([&[23u8 << 3][..], &[0; 32]].concat()), ..public(1) };
    let malformed = |kind| Some(PeerError::Malformed { role: Role::Keeper, kind });
    assert_eq!(with(Role::Keeper, vec![bad_message]), malformed("message key"));
    assert_eq!(with(Role::Keeper, vec![bad_xkey]), malformed("XKey"));
    assert_eq!(with(Role::Keeper, vec![weak_xkey]), malformed("XKey"));
    assert_eq!(with(Role::Keeper, vec![public(1), public(1)]), Some(PeerError::Twice(Role::Keeper)));
    let three = vec![public(1), public(10), public(20)];
    assert_eq!(with(Role::Keeper, three), Some(PeerError::TooMany(Role::Keeper, 3)));
    let shared = BTreeMap::from([(Role::Keeper, vec![public(1)]), (Role::Cooler, vec![public(1)])]);
    assert_eq!(Peers::new(&shared).err(), Some(PeerError::Twice(Role::Cooler)));
    let own = Peers::new(&BTreeMap::from([(Role::App, vec![public(3)])])).unwrap();
    assert_eq!(Party::new(custody(7), Role::App, keys(3), own).err(), Some(PeerError::Own(Role::App)));
}

#[test]
fn own_keys_come_back_from_their_seeds() {
    let keys = OwnKeys::generate(&mut rng());
    let again = OwnKeys::from_seeds(&keys.message_seed(), &keys.xkey_seed());
    assert_eq!(keys.public(), again.public());
    assert_eq!(keys.public().validate(), Ok(()));
}

#[test]
fn reasons_are_distinct() {
    let reasons: std::collections::BTreeSet<_> = Rejected::REASONS.into_iter().collect();
    assert_eq!(reasons.len(), Rejected::REASONS.len());
}

#[test]
fn no_flipped_bit_is_accepted() {
    let (bytes, _) = request();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn no_truncation_is_accepted() {
    let (bytes, _) = request();
    assert!((0..bytes.len()).all(|length| open(&bytes[..length]).is_err()));
}

/// Bit flips under the seal: what a peer that holds the XKey, but not the sender's key, could try.
#[test]
fn no_flipped_bit_of_the_signed_layer_is_accepted() {
    let keeper = party(Role::App).peers().of(Role::Keeper)[0].clone();
    let signed = party(Role::App).sign(&body()).0;
    for bit in 0..signed.len() * 8 {
        let mut flipped = signed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let ephemeral = recent::Ephemeral::generate(&keeper, &mut rng());
        let bytes = ephemeral.seal(&keeper, &flipped, &mut rng()).encode_to_vec();
        assert!(open(&bytes).is_err(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_bytes_are_accepted(at in any::<prop::sample::Index>(), xor in 1u8.., payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut bytes, ticket) = party(Role::App).request(Role::Keeper, SUBJECT, &payload, NOW, &mut rng()).unwrap();
        let request = open(&bytes).unwrap();
        prop_assert_eq!(request.payload(), &payload[..]);
        let mut answer = party(Role::Keeper).respond(&request, &payload, NOW, &mut Counter(77)).unwrap();
        prop_assert!(ticket.open_response(&answer, NOW).is_ok());
        let at_request = at.index(bytes.len());
        bytes[at_request] ^= xor;
        prop_assert!(open(&bytes).is_err());
        let at_answer = at.index(answer.len());
        answer[at_answer] ^= xor;
        prop_assert!(ticket.open_response(&answer, NOW).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
    }
}
