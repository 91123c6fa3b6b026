//! Promises kept by a real Vault: unsealed by key, TLS under a private authority, no dev mode.

#![cfg(test)]

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use data_encoding::BASE64URL_NOPAD;
use harness::{
    Options,
    proxy::{Proxy, Way},
};
use reqwest::Method;
use sealing::Sealer;
use serde_json::{Value, json};
use vault::{Admin, Connection, Error, Jwks, KeyInfo, Settings, SetupPlan, SetupReport, Vault, setup};
use zeroize::Zeroizing;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const CONTEXT: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

/// A Vault, the cluster whose tokens it trusts, and a workload's token file.
struct Place {
    server: harness::vault::Vault,
    cluster: EcdsaKeyPair,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        harness::install_crypto();
        let cluster = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let server = harness::vault::Vault::start(Options::default()).await.unwrap();
        let place = Self { server, cluster, folder: tempfile::tempdir().unwrap() };
        place.project("keeper", "vault-a");
        place
    }

    fn jwks(&self) -> Jwks {
        let (x, y) = self.cluster.public_key().as_ref()[1..].split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)});
        Jwks::parse(&json!({"keys": [key]}).to_string()).unwrap()
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// What the kubelet does: a token as the API server makes it, in the workload's volume.
    fn project(&self, service_account: &str, audience: &str) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "aud": [audience], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 600,
            "sub": format!("system:serviceaccount:custody:{service_account}"),
            "kubernetes.io": {"namespace": "custody", "serviceaccount": {"name": service_account, "uid": "1"}},
        });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = self.cluster.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        std::fs::write(self.token_file(), format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))).unwrap();
    }

    fn plan(&self) -> SetupPlan {
        SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-a".to_owned(),
            jwks: self.jwks(),
            issuer: ISSUER.to_owned(),
            audience: "vault-a".to_owned(),
            namespace: "custody".to_owned(),
            service_account: "keeper".to_owned(),
            role: "keeper".to_owned(),
            policy: "multisig-workload".to_owned(),
        }
    }

    async fn setup(&self, plan: &SetupPlan) -> Result<SetupReport, Error> {
        let connection = Connection::new(&self.server.address(), self.server.ca_pem()).unwrap();
        let token = Zeroizing::new(self.server.root_token().to_owned());
        setup(&Admin::new(connection, &token).unwrap(), plan).await
    }

    fn workload(&self) -> Vault {
        self.workload_at(self.server.address())
    }

    /// A workload whose way to the Vault can be made bad.
    async fn workload_behind_a_proxy(&self) -> (Vault, Proxy) {
        let port = self.server.address().rsplit_once(':').unwrap().1.parse().unwrap();
        let proxy = Proxy::start(port).await.unwrap();
        (self.workload_at(format!("https://127.0.0.1:{}", proxy.port())), proxy)
    }

    fn workload_at(&self, address: String) -> Vault {
        Vault::new(Settings {
            address,
            ca_bundle: self.server.ca_pem().to_owned(),
            auth_mount: "jwt-a".to_owned(),
            role: "keeper".to_owned(),
            transit_mount: "transit-ms".to_owned(),
            key: "custody.keeper".to_owned(),
            token_file: self.token_file(),
        })
        .unwrap()
    }

    /// From now on the Vault keeps a log of what it is asked.
    async fn audit(&self) {
        let device = json!({"type": "file", "options": {"file_path": self.folder.path().join("audit.log")}});
        self.root(Method::PUT, "sys/audit/file", device).await;
    }

    /// How often a path with these words was asked for.
    fn requests(&self, words: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        log.lines().filter(|line| line.contains(r#""type":"request""#) && line.contains(words)).count()
    }

    /// How many values those requests asked for.
    fn items(&self, words: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let requests = log.lines().filter(|line| line.contains(r#""type":"request""#) && line.contains(words));
        let items = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["request"]["data"]["batch_input"].as_array().map_or(0, Vec::len)
        };
        requests.map(items).sum()
    }

    async fn root(&self, method: Method, path: &str, body: Value) -> Value {
        self.server.call(method, path, (!body.is_null()).then_some(&body)).await.unwrap()
    }
}

/// Asks until the answer is the one awaited; 60 s at most.
async fn eventually<T, F: Future<Output = Result<T, Error>>>(
    ask: impl Fn() -> F,
    awaited: impl Fn(&Result<T, Error>) -> bool,
) -> Result<T, Error> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask().await;
        if awaited(&answer) || tokio::time::Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_set_up_is_repeatable_and_says_what_it_changed() {
    let place = Place::new().await;
    let first = place.setup(&place.plan()).await.unwrap();
    assert!(first.changed(), "{first}");
    let again = place.setup(&place.plan()).await.unwrap();
    assert!(!again.changed(), "{again}");

    let moved = SetupPlan { audience: "vault-b".to_owned(), ..place.plan() };
    let third = place.setup(&moved).await.unwrap().to_string();
    let changed: Vec<&str> = third.lines().filter(|line| !line.ends_with("unchanged")).collect();
    assert_eq!(changed, ["vault: role keeper: updated"]);
}

#[tokio::test]
async fn a_key_that_can_be_exported_is_never_adopted() {
    let place = Place::new().await;
    place.root(Method::POST, "sys/mounts/transit-ms", json!({"type": "transit"})).await;
    let key = json!({"derived": true, "exportable": true});
    place.root(Method::POST, "transit-ms/keys/custody.keeper", key).await;
    let error = place.setup(&place.plan()).await.unwrap_err();
    assert!(matches!(&error, Error::Unsafe(words) if words.contains("exportable=true")), "{error}");

    let taken = SetupPlan { transit_mount: "secret-ms".to_owned(), ..place.plan() };
    place.root(Method::POST, "sys/mounts/secret-ms", json!({"type": "kv"})).await;
    let error = place.setup(&taken).await.unwrap_err();
    assert!(error.to_string().contains("type kv at secret-ms"), "{error}");
}

#[tokio::test]
async fn a_workload_opens_what_it_sealed_and_only_under_its_context() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let vault = place.workload();
    let sealed = vault.encrypt(&[(CONTEXT, b"one"), (OTHER, b"two")]).await.unwrap();
    assert!(sealed.iter().all(|value| value.starts_with("vault:v1:")));

    let asked = [(CONTEXT, sealed[0].as_str()), (CONTEXT, &sealed[1]), (OTHER, &sealed[1]), (OTHER, "vault:v1:AAAA")];
    let opened = vault.decrypt(&asked).await.unwrap();
    assert_eq!(opened[0].as_ref().unwrap().as_slice(), b"one");
    assert!(matches!(opened[1], Err(Error::BadCiphertext(_))));
    assert_eq!(opened[2].as_ref().unwrap().as_slice(), b"two");
    assert!(matches!(opened[3], Err(Error::BadCiphertext(_))));
    // Also where nothing of a batch opens.
    assert!(matches!(vault.decrypt(&[(OTHER, &sealed[0])]).await.unwrap()[0], Err(Error::BadCiphertext(_))));

    let many: Vec<_> = (0..1203).map(|_| (CONTEXT, sealed[0].as_str())).collect();
    assert!(vault.decrypt(&many).await.unwrap().iter().all(|value| value.as_ref().unwrap().as_slice() == b"one"));
    assert_eq!(vault.key().await.unwrap().latest_version, 1);
}

#[tokio::test]
async fn what_an_old_version_sealed_is_rewrapped_and_then_opens_no_more() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let vault = place.workload();
    let sealed = vault.encrypt(&[(CONTEXT, b"one"), (OTHER, b"two")]).await.unwrap();
    vault.rotate().await.unwrap();
    assert_eq!(vault.key().await.unwrap(), KeyInfo { latest_version: 2, min_decryption_version: 1 });
    assert!(vault.encrypt(&[(CONTEXT, b"new")]).await.unwrap()[0].starts_with("vault:v2:"));

    // One that was moved does not spoil the rest, in the first batch or in a later one.
    let mut asked = vec![(CONTEXT, sealed[0].as_str()), (CONTEXT, &sealed[1])];
    asked.extend((0..600).map(|_| (OTHER, sealed[1].as_str())));
    let rewrapped = vault.rewrap(&asked).await.unwrap();
    assert_eq!(rewrapped.len(), asked.len());
    assert!(matches!(rewrapped[1], Err(Error::BadCiphertext(_))));
    let one = rewrapped[0].clone().unwrap();
    let two = rewrapped[601].clone().unwrap();
    assert!([&one, &two].iter().all(|value| value.starts_with("vault:v2:")));

    vault.raise_min_decryption_version(2).await.unwrap();
    assert_eq!(vault.key().await.unwrap(), KeyInfo { latest_version: 2, min_decryption_version: 2 });
    let asked = [(CONTEXT, sealed[0].as_str()), (CONTEXT, &one), (OTHER, &two), (OTHER, &one)];
    let opened = vault.decrypt(&asked).await.unwrap();
    assert!(matches!(opened[0], Err(Error::BadCiphertext(_))));
    assert_eq!(opened[1].as_ref().unwrap().as_slice(), b"one");
    assert_eq!(opened[2].as_ref().unwrap().as_slice(), b"two");
    assert!(matches!(opened[3], Err(Error::BadCiphertext(_))));
}

#[tokio::test]
async fn openings_at_the_same_time_share_their_way_to_the_vault() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    place.audit().await;

    let sealer = Sealer::new(Arc::new(place.workload()));
    let contexts: Vec<_> = (0..1000).map(|n| sealing::Context::new(b"custody", &format!("w{n}"), "hot")).collect();
    let secrets: Vec<_> = contexts.iter().map(|context| (*context, b"secret".as_slice())).collect();
    let mut sealed = sealer.seal(&secrets).await.unwrap();
    sealed.swap(0, 1);
    let opened = contexts.iter().zip(&sealed).map(|(context, value)| sealer.open(*context, value.clone()));
    let opened = futures::future::join_all(opened).await;
    assert!(opened[..2].iter().all(|value| matches!(value, Err(Error::BadCiphertext(_)))));
    assert!(opened[2..].iter().all(|value| value.as_ref().unwrap().as_slice() == b"secret"));

    assert!(place.requests("/decrypt/") < 50);

    // A value that many want at once is asked for once in each batch.
    let (before, asked) = (place.requests("/decrypt/"), place.items("/decrypt/"));
    let opened = futures::future::join_all((0..1000).map(|_| sealer.open(contexts[2], sealed[2].clone()))).await;
    assert!(opened.iter().all(|value| value.as_ref().unwrap().as_slice() == b"secret"));
    assert_eq!(place.items("/decrypt/") - asked, place.requests("/decrypt/") - before);

    place.server.seal().await.unwrap();
    let outcome = sealer.open(contexts[2], sealed[2].clone()).await;
    assert!(matches!(outcome, Err(Error::Sealed { .. })));
}

#[tokio::test]
async fn what_is_sealed_at_the_same_time_shares_its_way_to_the_vault_and_keeps_its_order() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    place.audit().await;
    let sealer = Sealer::new(Arc::new(place.workload()));
    let context = |n: u32, purpose| sealing::Context::new(b"custody", &format!("w{n}"), purpose);
    let wallets = futures::future::join_all((0..400_u32).map(async |n| {
        let secrets = [n.to_be_bytes(), (n + 1_000_000).to_be_bytes()];
        let secrets = [(context(n, "entropy"), &secrets[0][..]), (context(n, "hot"), &secrets[1][..])];
        sealer.seal(&secrets).await.unwrap()
    }));
    let wallets = wallets.await;
    assert!(place.requests("/encrypt/") < 20);
    for (n, sealed) in (0..).zip(wallets).step_by(57) {
        let [entropy, hot] = sealed.try_into().unwrap();
        assert_eq!(sealer.open(context(n, "entropy"), entropy).await.unwrap().as_slice(), n.to_be_bytes());
        assert_eq!(sealer.open(context(n, "hot"), hot).await.unwrap().as_slice(), (n + 1_000_000).to_be_bytes());
    }
    place.server.seal().await.unwrap();
    assert!(matches!(sealer.seal(&[(context(1, "hot"), b"x")]).await, Err(Error::Sealed { .. })));
}

#[tokio::test]
async fn only_the_named_service_account_and_audience_get_in() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    for (service_account, audience) in [("cooler", "vault-a"), ("keeper", "api")] {
        place.project(service_account, audience);
        let error = place.workload().key().await.unwrap_err();
        assert!(matches!(&error, Error::Login { mount, role, .. } if mount == "jwt-a" && role == "keeper"), "{error}");
    }
    std::fs::remove_file(place.token_file()).unwrap();
    assert!(matches!(place.workload().key().await, Err(Error::TokenFile { .. })));
}

#[tokio::test]
async fn the_policy_opens_one_key_and_does_not_export_it() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    place.root(Method::POST, "transit-ms/keys/custody.cooler", json!({"derived": true})).await;
    let jwt = std::fs::read_to_string(place.token_file()).unwrap();
    let login = place.root(Method::POST, "auth/jwt-a/login", json!({"role": "keeper", "jwt": jwt})).await;
    let token = login["auth"]["client_token"].as_str().unwrap().to_owned();
    assert_eq!(login["auth"]["token_policies"], json!(["multisig-workload"]));

    let http = harness::tls::http_client(place.server.ca_pem()).unwrap();
    let ask = async |method: Method, path: &str, body: Value| {
        let url = format!("{}/v1/{path}", place.server.address());
        let answer = http.request(method, url).header("X-Vault-Token", &token).json(&body).send().await.unwrap();
        answer.status().as_u16()
    };
    let context = data_encoding::BASE64.encode(&CONTEXT);
    let plain = json!({"plaintext": "AA==", "context": context});
    assert_eq!(ask(Method::POST, "transit-ms/encrypt/custody.keeper", plain.clone()).await, 200);
    assert_eq!(ask(Method::POST, "transit-ms/keys/custody.keeper/rotate", json!({})).await, 200);
    let minimum = json!({"min_decryption_version": 1});
    assert_eq!(ask(Method::POST, "transit-ms/keys/custody.keeper/config", minimum).await, 200);
    let refused = [
        (Method::POST, "transit-ms/encrypt/custody.cooler", plain.clone()),
        (Method::POST, "transit-ms/encrypt/custody.new", plain),
        (Method::GET, "transit-ms/keys/custody.cooler", Value::Null),
        (Method::GET, "transit-ms/export/encryption-key/custody.keeper", Value::Null),
        (Method::GET, "transit-ms/backup/custody.keeper", Value::Null),
        (Method::POST, "transit-ms/keys/custody.keeper/config", json!({"exportable": true})),
        (Method::POST, "transit-ms/keys/custody.keeper/config", json!({"deletion_allowed": true})),
        (Method::DELETE, "transit-ms/keys/custody.keeper", Value::Null),
        (Method::POST, "sys/policies/acl/multisig-workload", json!({"policy": ""})),
        (Method::POST, "auth/jwt-a/role/keeper", json!({})),
    ];
    for (method, path, body) in refused {
        assert_eq!(ask(method, path, body).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_sealed_or_absent_vault_is_named_and_its_return_is_noticed() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let vault = place.workload();
    vault.key().await.unwrap();

    place.server.seal().await.unwrap();
    let error = vault.key().await.unwrap_err();
    assert_eq!(error.to_string(), format!("the Vault at {} is sealed; unseal it", place.server.address()));
    place.server.unseal().await.unwrap();
    eventually(|| vault.key(), Result::is_ok).await.unwrap();

    place.server.stop().await;
    assert!(matches!(vault.key().await, Err(Error::Away { .. })));
    // A workload that starts meanwhile can't log in; it does so by itself later.
    let late = place.workload();
    assert!(matches!(late.key().await, Err(Error::Away { .. })));
    place.server.start_again().await.unwrap();
    eventually(|| vault.key(), Result::is_ok).await.unwrap();
    eventually(|| late.key(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn a_vault_that_never_answers_costs_each_caller_a_deadline_and_no_more() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let vault = place.workload();
    place.server.pause();
    let start = tokio::time::Instant::now();
    let outcomes = futures::future::join_all((0..20).map(|_| vault.key())).await;
    assert!(start.elapsed() < 2 * vault::CALL_DEADLINE, "{:?}", start.elapsed());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Away { .. }))));
    place.server.resume();
    eventually(|| vault.key(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn a_stalled_way_to_the_vault_fails_in_time_and_is_noticed_when_it_is_open_again() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let (vault, proxy) = place.workload_behind_a_proxy().await;
    let sealer = Sealer::new(Arc::new(vault));
    let context = sealing::Context::new(b"custody", "alice", "hot");
    let sealed = sealer.seal(&[(context, b"secret")]).await.unwrap().remove(0);

    proxy.set(Way::Stalled);
    // More than one batch: none waits for longer than its own and the one before.
    let openings = futures::future::join_all((0..1100).map(|_| sealer.open(context, sealed.clone())));
    let (outcomes, late) = tokio::join!(openings, sealer.vault().key());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Away { .. }))));
    assert!(matches!(late, Err(Error::Away { .. })));

    // A slow answer within the deadline does not fail.
    proxy.set(Way::Slow(Duration::from_millis(50)));
    let opened = eventually(|| sealer.open(context, sealed.clone()), Result::is_ok).await.unwrap();
    assert_eq!(opened.as_slice(), b"secret");
    proxy.set(Way::Open);
    sealer.open(context, sealed).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_was_taken_away_closes_everything_until_it_is_given_back() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    place.audit().await;
    let vault = place.workload();
    let sealed = vault.encrypt(&[(CONTEXT, b"one")]).await.unwrap().remove(0);
    let policy = place.root(Method::GET, "sys/policies/acl/multisig-workload", Value::Null).await;
    let policy = json!({"policy": policy["data"]["policy"]});

    place.root(Method::POST, "sys/policies/acl/multisig-workload", json!({"policy": "# nothing"})).await;
    let asked = [(CONTEXT, sealed.as_str())];
    assert!(matches!(vault.decrypt(&asked).await, Err(Error::Denied { .. })));
    assert!(matches!(vault.rewrap(&asked).await, Err(Error::Denied { .. })));
    assert!(matches!(vault.rotate().await, Err(Error::Denied { .. })));
    assert!(matches!(vault.raise_min_decryption_version(1).await, Err(Error::Denied { .. })));
    // A token that is not young any more is replaced, in vain.
    let denied = eventually(|| vault.key(), |_| place.requests("auth/jwt-a/login") > 1).await;
    assert!(matches!(denied, Err(Error::Denied { .. })));
    assert_eq!(place.requests("auth/jwt-a/login"), 2);

    place.root(Method::POST, "sys/policies/acl/multisig-workload", policy).await;
    eventually(|| vault.key(), Result::is_ok).await.unwrap();
    assert_eq!(vault.decrypt(&asked).await.unwrap()[0].as_ref().unwrap().as_slice(), b"one");
}

#[tokio::test]
async fn a_role_without_its_policy_is_left_behind_as_soon_as_it_has_it_again() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let mut role = place.root(Method::GET, "auth/jwt-a/role/keeper", Value::Null).await["data"].take();
    role["token_policies"] = json!(["nothing"]);
    place.root(Method::POST, "auth/jwt-a/role/keeper", role).await;
    // Its token has no right and never will: only a new login helps.
    let vault = place.workload();
    let error = vault.key().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(place.setup(&place.plan()).await.unwrap().changed());
    eventually(|| vault.key(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let vault = place.workload();
    vault.key().await.unwrap();
    place.root(Method::POST, "sys/leases/revoke-prefix/auth/jwt-a/login", Value::Null).await;
    let error = vault.key().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    eventually(|| vault.key(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn calls_go_on_through_many_lives_of_a_token() {
    let place = Place::new().await;
    place.setup(&place.plan()).await.unwrap();
    let mut role = place.root(Method::GET, "auth/jwt-a/role/keeper", Value::Null).await["data"].take();
    role["token_ttl"] = json!(2);
    role["token_max_ttl"] = json!(4);
    place.root(Method::POST, "auth/jwt-a/role/keeper", role).await;
    let vault = place.workload();
    let start = tokio::time::Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        vault.key().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
