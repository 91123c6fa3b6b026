//! NKeys, XKeys and NATS JWTs: `nkeys`, `natsauth` and the envelope's box against the reference implementations in Go
//! (`go/`), in both directions.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
use custody::{CustodyId, Role};
use data_encoding::BASE64;
use known_answers::report;
use natsauth::{
    Account, AccountLimits, Claims, JwtError, Kind, NO_LIMIT, Operator, Permissions, RESPONSE_TTL_NANOS, Response,
    Scope, Subjects, Template, User, account_claims, encode, operator_claims, push_permissions, role_permissions,
    tombstone_claims, user_claims, verify,
};
use nkeys::{KeyPair, KeyPairType, XKey};
use prost::Message;
use protocol::{
    envelope::{OwnKeys, Party, Peers, ReplayFilter, Sealed},
    subject::{Lane, subject},
};
use rand_core::OsRng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

const MESSAGE: &[u8] = b"made by Rust";
/// How many keys of each kind.
const EACH: u8 = 3;
const ISSUED: i64 = 1_700_000_000;
/// In 2100.
const EXPIRES: i64 = 4_102_444_800;

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Option<String>", into = "String")]
struct Base64(Vec<u8>);

impl TryFrom<Option<String>> for Base64 {
    type Error = data_encoding::DecodeError;

    fn try_from(text: Option<String>) -> Result<Self, Self::Error> {
        BASE64.decode(text.unwrap_or_default().as_bytes()).map(Self)
    }
}

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        BASE64.encode(&bytes.0)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Key {
    seed: String,
    public: String,
    message: Base64,
    /// Empty for XKeys.
    signature: Base64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Boxed {
    seed: String,
    to: String,
    from: Base64,
    r#box: Base64,
    text: Base64,
}

#[derive(Deserialize)]
struct Token {
    token: String,
    claims: Value,
    issues: Vec<String>,
}

#[derive(Default, Serialize)]
struct Request {
    keys: Vec<Key>,
    tokens: Vec<String>,
    open: Vec<Boxed>,
    seal: Vec<Boxed>,
    make: u8,
}

#[derive(Deserialize)]
struct Reply {
    keys: Vec<Key>,
    tokens: Vec<Token>,
    signed: Vec<(usize, usize)>,
    open: Vec<Boxed>,
    seal: Vec<Boxed>,
    made: Made,
}

#[derive(Deserialize)]
struct Made {
    keys: Vec<Key>,
    tokens: Vec<Token>,
}

/// Builds the Go side, which Go caches, and asks it.
fn go(request: &Request) -> Reply {
    let mut child = Command::new("go")
        .args(["run", "-mod=readonly", "-buildvcs=false", "."])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/go"))
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Go is needed, see README.md");
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(request).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the Go side refused; its reason is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn raw(n: u8) -> [u8; 32] {
    Sha256::digest([n]).into()
}

fn pair(kind: KeyPairType, n: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, raw(n)).unwrap()
}

fn account(n: u8) -> KeyPair {
    pair(KeyPairType::Account, n)
}

fn signing_key(pair: &KeyPair, message: &[u8]) -> Key {
    Key {
        seed: pair.seed().unwrap(),
        public: pair.public_key(),
        message: Base64(message.to_vec()),
        signature: Base64(pair.sign(message).unwrap()),
    }
}

fn curve_key(pair: &XKey, message: &[u8]) -> Key {
    let (message, signature) = (Base64(message.to_vec()), Base64::default());
    Key { seed: pair.seed().unwrap(), public: pair.public_key(), message, signature }
}

#[test]
fn go_reads_our_keys_and_signs_alike() {
    let kinds = [KeyPairType::Operator, KeyPairType::Account, KeyPairType::User];
    let mut keys: Vec<Key> = kinds
        .into_iter()
        .flat_map(|kind| (0..EACH).map(move |n| signing_key(&pair(kind.clone(), n), MESSAGE)))
        .collect();
    keys.extend((0..EACH).map(|n| curve_key(&XKey::new_from_raw(raw(n)), MESSAGE)));
    let seen = go(&Request { keys: keys.clone(), ..Request::default() }).keys;
    assert_eq!(seen, keys);
    report("NKeys", &format!("{} of ours read by Go", seen.len()));
    assert_eq!(seen.len(), 12);
}

#[test]
fn keys_made_by_go_are_read_here_and_sign_alike() {
    let keys = go(&Request { make: EACH, ..Request::default() }).made.keys;
    let mut prefixes = BTreeMap::<char, usize>::new();
    for key in &keys {
        *prefixes.entry(key.public.chars().next().unwrap()).or_default() += 1;
        if key.public.starts_with('X') {
            assert_eq!(&curve_key(&XKey::from_seed(&key.seed).unwrap(), &key.message.0), key);
        } else {
            assert_eq!(&signing_key(&KeyPair::from_seed(&key.seed).unwrap(), &key.message.0), key);
            KeyPair::from_public_key(&key.public).unwrap().verify(&key.message.0, &key.signature.0).unwrap();
        }
    }
    report("NKeys", &format!("{} of Go's read here", keys.len()));
    assert_eq!(prefixes, BTreeMap::from([('A', 6), ('O', 6), ('U', 3), ('X', 3)]));
}

/// What Go made of a token's claims is what we made of them.
fn same<T: Kind + DeserializeOwned + PartialEq + std::fmt::Debug>(token: &Token) -> Claims<T> {
    let ours = verify::<T>(&token.token).unwrap();
    assert_eq!(serde_json::from_value::<Claims<T>>(token.claims.clone()).unwrap(), ours);
    ours
}

/// Our claims name no import, export, leaf node or JetStream; Go leaves out of JSON what is zero, which allows nothing.
fn grants_only_what_is_modelled(token: &Token) {
    let limits = token.claims["nats"]["limits"].as_object().unwrap();
    for limit in limits.keys() {
        assert!(["conn", "subs", "data", "payload", "disallow_bearer"].contains(&limit.as_str()), "{limit}");
    }
}

/// Another first letter of the signature.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{other}{}", &signature[1..])
}

struct Tokens {
    operator: String,
    accounts: Vec<String>,
    users: Vec<String>,
}

/// An operator; a custody's account, the system account and one that ended; a user of each role and the pusher.
fn our_tokens() -> Tokens {
    let custody = CustodyId::from_slice(&[7; 16]).unwrap();
    let (operator, signer) = (pair(KeyPairType::Operator, 100), pair(KeyPairType::Operator, 101));
    let [own, system, ended] = [account(102), account(103), account(104)];
    let user = |n: usize| pair(KeyPairType::User, 110 + n as u8).public_key();
    let scoped: Vec<(KeyPair, Role)> =
        Role::ALL.into_iter().enumerate().map(|(n, role)| (account(120 + n as u8), role)).collect();
    let mut scopes: Vec<Scope> = scoped
        .iter()
        .map(|(key, role)| Scope::new(&key.public_key(), role.as_str(), role_permissions(custody, *role)))
        .collect();
    // Go shows them in this order.
    scopes.sort_by(|one, other| one.key.cmp(&other.key));
    let pusher = account(130);
    let push = Scope::new(&pusher.public_key(), "push", push_permissions(&system.public_key()));
    let (limits, revoked) = (AccountLimits::default(), BTreeMap::from([(user(9), ISSUED)]));
    let accounts = [
        account_claims("custody", &own.public_key(), scopes, limits, revoked, ISSUED),
        account_claims("SYS", &system.public_key(), vec![push], limits, BTreeMap::new(), ISSUED),
        tombstone_claims("ended", &ended.public_key(), ISSUED),
    ];
    let claims =
        operator_claims("operator", &operator.public_key(), &[signer.public_key()], &system.public_key(), ISSUED);
    let role_users = scoped.iter().enumerate().map(|(n, (key, role))| {
        encode(user_claims(&(*role).into(), &user(n), &own.public_key(), ISSUED, Some(EXPIRES)), key).unwrap()
    });
    let push_user = user_claims(&"push".parse().unwrap(), &user(8), &system.public_key(), ISSUED, None);
    Tokens {
        operator: encode(claims, &operator).unwrap(),
        accounts: accounts.map(|claims| encode(claims, &signer).unwrap()).to_vec(),
        users: role_users.chain([encode(push_user, &pusher).unwrap()]).collect(),
    }
}

#[test]
fn go_believes_our_tokens_and_sees_in_them_what_we_meant() {
    let Tokens { operator, accounts, users } = our_tokens();
    let tokens: Vec<String> = [operator].into_iter().chain(accounts).chain(users).collect();
    let seen = go(&Request { tokens, ..Request::default() });
    for token in &seen.tokens {
        assert_eq!(token.issues, [] as [&str; 0], "{}", token.claims);
    }
    same::<Operator>(&seen.tokens[0]);
    for token in &seen.tokens[1..4] {
        same::<Account>(token);
        grants_only_what_is_modelled(token);
    }
    for token in &seen.tokens[4..] {
        same::<User>(token);
    }
    // The operator signed the three accounts; a scoped key of the custody's account each role's user, which has no
    // permissions but its template's; a scoped key of the system account the pusher.
    let signed = [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (1, 6), (1, 7), (2, 8)];
    assert_eq!(seen.signed, signed);
    report("NATS JWTs", &format!("{} of ours believed by Go, {} signers found right", seen.tokens.len(), signed.len()));
    assert_eq!(seen.tokens.len(), 9);
}

#[test]
fn a_forged_token_is_believed_by_neither_side() {
    let Tokens { operator, accounts, users } = our_tokens();
    let ours: Vec<String> = [&operator, &accounts[0], &users[0]].into_iter().map(|token| forged(token)).collect();
    let seen = go(&Request { tokens: ours, make: 1, ..Request::default() });
    for token in &seen.tokens {
        assert_eq!(token.issues, ["claim failed V2 signature verification"]);
        assert_eq!(token.claims, Value::Null);
    }
    let theirs: Vec<String> = seen.made.tokens.iter().map(|made| forged(&made.token)).collect();
    assert_eq!(verify::<Operator>(&theirs[0]), Err(JwtError::BadSignature));
    assert_eq!(verify::<Account>(&theirs[1]), Err(JwtError::BadSignature));
    assert_eq!(verify::<User>(&theirs[2]), Err(JwtError::BadSignature));
    report("NATS JWTs", &format!("{} forged, believed by neither side", seen.tokens.len() + theirs.len()));
    assert_eq!((seen.tokens.len(), theirs.len()), (3, 3));
}

#[test]
fn tokens_made_by_go_are_believed_here_and_mean_what_go_meant() {
    let tokens = go(&Request { make: EACH, ..Request::default() }).made.tokens;
    for made in tokens.chunks(3) {
        let operator = same::<Operator>(&made[0]);
        let account = same::<Account>(&made[1]);
        let user = same::<User>(&made[2]);
        assert!(operator.nats.signing_keys.contains(&account.iss));
        assert_eq!(operator.nats.system_account, Some(account.sub.clone()));
        assert_eq!(account.nats.revocations, BTreeMap::from([(user.sub, ISSUED)]));
        assert_eq!((user.nats.issuer_account, user.exp), (account.sub, Some(EXPIRES)));
        let [scope] = account.nats.signing_keys.as_slice() else { panic!("one scoped key") };
        assert_eq!(scope.key, user.iss);
        assert_eq!(scope.template, template_of_go());
    }
    report("NATS JWTs", &format!("{} of Go's believed here", tokens.len()));
    assert_eq!(tokens.len(), 9);
}

/// As main.go sets it.
fn template_of_go() -> Template {
    let subjects = |allow: &[&str], deny: &[&str]| Subjects {
        allow: allow.iter().map(|&text| text.to_owned()).collect(),
        deny: deny.iter().map(|&text| text.to_owned()).collect(),
    };
    Template {
        permissions: Permissions {
            publish: subjects(&["ms.a", "ms.b"], &[]),
            subscribe: subjects(&["_INBOX.{{name()}}.>", "ms.c q"], &["ms.d"]),
            response: Some(Response { max: 1, ttl: RESPONSE_TTL_NANOS }),
        },
        subs: NO_LIMIT,
        data: NO_LIMIT,
        payload: NO_LIMIT,
        allowed_connection_types: vec!["STANDARD".to_owned()],
    }
}

/// Lengths around the cipher's blocks and beyond.
fn texts() -> Vec<Base64> {
    [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 65_536].map(|length| Base64(vec![0x5a; length])).to_vec()
}

#[test]
fn xkey_boxes_open_on_either_side() {
    let (own, other) = (XKey::new_from_raw(raw(200)), XKey::new_from_raw(raw(201)));
    let from = Base64(nkeys::from_public_key(&own.public_key()).unwrap().1.to_vec());
    let open = texts().into_iter().map(|text| Boxed {
        seed: other.seed().unwrap(),
        from: from.clone(),
        r#box: Base64(own.seal(&text.0, &other).unwrap()),
        ..Boxed::default()
    });
    let seal = texts().into_iter().map(|text| Boxed { to: own.public_key(), text, ..Boxed::default() });
    let seen = go(&Request { open: open.collect(), seal: seal.collect(), ..Request::default() });
    assert_eq!(seen.open.iter().map(|opened| opened.text.clone()).collect::<Vec<_>>(), texts());
    for sealed in &seen.seal {
        let (nonce, ciphertext) = sealed.r#box.0.strip_prefix(b"xkv1").unwrap().split_at(24);
        let opener = SalsaBox::new(&PublicKey::from_slice(&sealed.from.0).unwrap(), &SecretKey::from(raw(200)));
        assert_eq!(opener.decrypt(nonce.into(), ciphertext).unwrap(), sealed.text.0);
    }
    report("XKeys", &format!("{} of our boxes opened by Go, {} of Go's here", seen.open.len(), seen.seal.len()));
    assert_eq!((seen.open.len(), seen.seal.len()), (13, 13));
}

/// App and Keeper, who know each other.
fn parties() -> (Party, Party) {
    let custody = CustodyId::from_slice(&[7; 16]).unwrap();
    let keys = |n| Arc::new(OwnKeys::from_seeds(&raw(n), &raw(n + 1)));
    let (app, keeper) = (keys(210), keys(220));
    let knows = |role, keys: &OwnKeys| Peers::new(&BTreeMap::from([(role, vec![keys.public().clone()])])).unwrap();
    let (of_app, of_keeper) = (knows(Role::Keeper, &keeper), knows(Role::App, &app));
    (
        Party::new(custody, Role::App, app, of_app).unwrap(),
        Party::new(custody, Role::Keeper, keeper, of_keeper).unwrap(),
    )
}

#[test]
fn an_envelope_opens_in_go_and_one_sealed_by_go_opens_here() {
    let (app, keeper) = parties();
    let own = XKey::new_from_raw(raw(221));
    let (subject, now) = (subject(app.custody(), Role::Keeper, Lane::Op), ISSUED as u64 * 1000);
    let (bytes, _) = app.request(Role::Keeper, &subject, MESSAGE, now, &mut OsRng).unwrap();
    let sealed = Sealed::decode(bytes.as_slice()).unwrap();
    let (from, r#box) = (Base64(sealed.eph_pub.clone()), Base64(sealed.r#box.clone()));
    let open = vec![Boxed { seed: own.seed().unwrap(), from, r#box, ..Boxed::default() }];
    let signed = go(&Request { open, ..Request::default() }).open.remove(0).text;
    assert!(signed.0.windows(MESSAGE.len()).any(|window| window == MESSAGE));

    let seal = vec![Boxed { to: own.public_key(), text: signed, ..Boxed::default() }];
    let Boxed { from, r#box, .. } = go(&Request { seal, ..Request::default() }).seal.remove(0);
    assert_ne!(r#box.0, sealed.r#box);
    let by_go = Sealed { eph_pub: from.0, r#box: r#box.0, ..sealed }.encode_to_vec();
    let request = keeper.open_request(&by_go, &subject, now, &ReplayFilter::new(8)).unwrap();
    assert_eq!((request.sender(), request.payload()), (Role::App, MESSAGE));
    report("envelope", "1 of ours opened by Go, 1 sealed by Go opened here");
}
