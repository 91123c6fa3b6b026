//! A custody, its documents and a real Vault, for tests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use chain::{Amount, Asset, Effect, KeyRole};
use chain_evm::EvmSafe;
use custody::{
    CustodyId, Role,
    config::{Credentials, HubLimits as HubPolicy, MemberConfig, NatsConfig},
    identity::PeerKeys,
    local_policy::{AssetLimits, LocalPolicy},
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
    trust::{CustodyTrust, KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};
use data_encoding::BASE64URL_NOPAD;
use harness::Options;
use policy::Policy;
use protocol::envelope::Peers;
use rand_core::OsRng;
use sealing::Sealer;
use serde_json::{Value, json};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use crate::{
    chains,
    identity::{self, Keys, tests::keys},
    pipeline::{Lock, Serving, Signer, cool_key_context},
    store::{SealedKey, Store},
    wiring::{Place, documents::Documents},
};

pub(crate) const CHAIN: &str = "eip155:31337";
pub(crate) const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub(crate) const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
const ISSUER: &str = "https://kubernetes.default.svc";

/// Phrases and the manifest that both stations signed.
pub(crate) struct Custody {
    pub(crate) cool: Phrase,
    pub(crate) cold: Phrase,
    pub(crate) signed: SignedManifest,
}

impl Custody {
    pub(crate) fn new() -> Self {
        let (cool, cold) = (Phrase::generate(&mut OsRng), Phrase::generate(&mut OsRng));
        let half = |role, phrase: &Phrase| PublicHalf::from_keys(role, &phrase.keys()).unwrap();
        let mut signed = SignedManifest::new(Manifest {
            version: manifest::VERSION,
            custody_id: CustodyId::generate(&mut OsRng),
            revision: 1,
            cool: half(KeyRole::Cool, &cool),
            cold: half(KeyRole::Cold, &cold),
            safe_destinations: BTreeMap::from([(CHAIN.to_owned(), vec![SAFE.to_owned()])]),
        })
        .unwrap();
        signed.sign(KeyRole::Cool, &cool.keys()).unwrap();
        signed.sign(KeyRole::Cold, &cold.keys()).unwrap();
        Self { cool, cold, signed }
    }

    pub(crate) fn manifest(&self) -> VerifiedManifest {
        self.signed.verify().unwrap()
    }

    /// Complete documents for a signer whose connection key is `nats_user`.
    pub(crate) fn documents(&self, role: Role, nats_user: &str) -> Documents {
        let trust = MemberTrust {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role,
            data_center: "fra-1".to_owned(),
            vault: VaultTrust {
                address: "https://127.0.0.1:8200".to_owned(),
                ca_bundle: CERTIFICATE.to_owned(),
                auth_mount: "jwt-a".to_owned(),
                role: role.to_string(),
                audience: "vault-a".to_owned(),
                transit_mount: "transit-ms".to_owned(),
                key: format!("custody.{role}"),
            },
            custody: Some(CustodyTrust { id: self.manifest().custody_id(), manifest_digest: self.manifest().digest() }),
            peers: peers(role),
            local_policy: Some(local_policy()),
            keys: KeyProtection::Vault,
            images: Vec::new(),
        };
        let config = MemberConfig {
            custody_id: self.manifest().custody_id(),
            nats: NatsConfig { urls: vec!["tls://127.0.0.1:4222".to_owned()], ca_bundle: CERTIFICATE.to_owned() },
            policy: HubPolicy::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let credentials = Credentials { generation: 1, user_jwt: user_jwt(nats_user) };
        Documents {
            trust: Some(trust.to_json()),
            config: Some(serde_json::to_string(&config).unwrap()),
            manifest: Some(self.signed.to_json()),
            credentials: Some(serde_json::to_string(&credentials).unwrap()),
        }
    }
}

/// Approved keys of everybody else.
pub(crate) fn peers(own: Role) -> BTreeMap<Role, Vec<PeerKeys>> {
    let all = [(Role::Keeper, 10), (Role::Cooler, 20), (Role::App, 30)];
    all.into_iter()
        .filter(|(role, _)| *role != own)
        .map(|(role, n)| (role, vec![keys(n).own().public().clone()]))
        .collect()
}

/// 1 ETH and 1000 units of a token with 6 decimals.
pub(crate) fn local_policy() -> LocalPolicy {
    LocalPolicy::new(vec![
        AssetLimits::new(CHAIN, "ETH", "native", 18, "1000000000000000000"),
        AssetLimits::new(CHAIN, "USDT", TOKEN, 6, "1000000000"),
    ])
}

pub(crate) fn user_jwt(nats_user: &str) -> String {
    let claims = json!({"sub": nats_user}).to_string();
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
}

/// The bytes of an intent, as App would build them.
pub(crate) fn unsigned(intent: &Effect, nonce: u64) -> Vec<u8> {
    let token = |symbol: &str, contract: Option<&str>| Asset {
        symbol: symbol.to_owned(),
        contract: contract.map(str::to_owned),
    };
    let assets = [token("ETH", None), token("USDT", Some(TOKEN)), token("OTHER", Some(SAFE))];
    EvmSafe::new(CHAIN.parse().unwrap()).unwrap().build(intent, &assets, nonce).unwrap()
}

pub(crate) fn transfer(asset: &str, amount: u128) -> Effect {
    let to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
    Effect::Transfer { asset: asset.to_owned(), to, amount: Amount::from(amount) }
}

/// A Vault set up for keeper and cooler, as the kubelet and the API server of one cluster would have it.
pub(crate) struct RealVault {
    pub(crate) server: harness::vault::Vault,
    cluster: EcdsaKeyPair,
    folder: tempfile::TempDir,
}

impl RealVault {
    pub(crate) async fn start() -> Self {
        harness::install_crypto();
        let cluster = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let server = harness::vault::Vault::start(Options::default()).await.unwrap();
        let vault = Self { server, cluster, folder: tempfile::tempdir().unwrap() };
        for role in [Role::Keeper, Role::Cooler] {
            vault.set_up(role).await;
        }
        vault
    }

    async fn set_up(&self, role: Role) {
        let (x, y) = self.cluster.public_key().as_ref()[1..].split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)});
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-a".to_owned(),
            jwks: Jwks::parse(&json!({"keys": [key]}).to_string()).unwrap(),
            issuer: ISSUER.to_owned(),
            audience: "vault-a".to_owned(),
            namespace: "custody".to_owned(),
            service_account: role.to_string(),
            role: role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.server.address(), self.server.ca_pem()).unwrap();
        let token = Zeroizing::new(self.server.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token).unwrap(), &plan).await.unwrap();
    }

    /// The signer's place, with a fresh token as the kubelet projects it.
    pub(crate) fn place(&self, role: Role) -> Place {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "aud": ["vault-a"], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 600,
            "sub": format!("system:serviceaccount:custody:{role}"),
            "kubernetes.io": {"namespace": "custody", "serviceaccount": {"name": role.as_str(), "uid": "1"}},
        });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = self.cluster.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let vault_token_file = self.folder.path().join(format!("{role}-token"));
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
        std::fs::write(&vault_token_file, token).unwrap();
        let data_dir = self.folder.path().join(role.as_str());
        std::fs::create_dir_all(&data_dir).unwrap();
        let kube_dir = PathBuf::from("/nonexistent");
        Place { data_dir, kube_dir, vault_token_file, namespace: "custody".to_owned() }
    }

    pub(crate) fn trust(&self, role: Role) -> VaultTrust {
        VaultTrust {
            address: self.server.address(),
            ca_bundle: self.server.ca_pem().to_owned(),
            auth_mount: "jwt-a".to_owned(),
            role: role.to_string(),
            audience: "vault-a".to_owned(),
            transit_mount: "transit-ms".to_owned(),
            key: format!("custody.{role}"),
        }
    }
}

/// A signer that serves, over its own store and the real Vault.
pub(crate) struct Running {
    pub(crate) place: Place,
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) signer: Signer,
    clock: Arc<AtomicU64>,
    approved: Peers,
    manifest: VerifiedManifest,
    sealer: Arc<Sealer>,
}

/// What data centre and hub have decided.
pub(crate) struct Terms {
    pub(crate) local_policy: LocalPolicy,
    pub(crate) held: Vec<LocalPolicy>,
    pub(crate) hub: HubPolicy,
    pub(crate) observed: bool,
    pub(crate) protection: KeyProtection,
}

impl Default for Terms {
    fn default() -> Self {
        let (held, hub) = (Vec::new(), HubPolicy::default());
        Self { local_policy: local_policy(), held, hub, observed: false, protection: KeyProtection::Vault }
    }
}

/// When a test begins, Unix milliseconds.
const START_MS: u64 = 1_800_000_000_000;

impl Running {
    pub(crate) async fn start(vault: &RealVault, custody: &Custody, role: Role, approved: Peers) -> Self {
        let place = vault.place(role);
        let store = Arc::new(Store::open(&place.data_dir).unwrap());
        let sealer = place.sealer(&vault.trust(role)).unwrap();
        let keys = Arc::new(identity::open_or_make(&store, &sealer, &mut OsRng).await.unwrap());
        let manifest = custody.manifest();
        if role == Role::Cooler {
            let derived = custody.cool.keys();
            let secret = derived.secret("eip155").unwrap();
            let context = cool_key_context(manifest.custody_id(), "eip155");
            let sealed = sealer.seal(&[(context, secret.as_slice())]).await.unwrap().remove(0);
            let public_key = derived.public_key("eip155").unwrap().to_vec();
            let key = SealedKey { namespace: "eip155".to_owned(), public_key, secret: sealed };
            assert!(store.keep_cool_keys(vec![key]).await.unwrap());
        }
        let clock = Arc::new(AtomicU64::new(START_MS));
        let time = clock.clone();
        let signer = Signer::new(store.clone(), Arc::new(move || time.load(Ordering::Relaxed)));
        signer.set_lock(Lock::Open);
        let terms = Terms::default();
        let running = Self { place, store, keys, signer, clock, approved, manifest, sealer };
        running.serve(role, terms);
        running
    }

    /// Serves under other terms.
    pub(crate) fn serve(&self, role: Role, terms: Terms) {
        let Terms { local_policy, held, hub, observed, protection } = terms;
        let rules = chains::rules(policy::chains(&local_policy).unwrap()).unwrap();
        let policy = Policy::new(&local_policy, &held, &hub, &self.manifest, &rules).unwrap();
        let serving = Serving {
            role,
            keys: self.keys.clone(),
            peers: self.approved.clone(),
            manifest: self.manifest.clone(),
            policy,
            rules,
            sealer: self.sealer.clone(),
            protection,
            observed,
            trust_digest: [7; 32],
        };
        self.signer.serve(Some(Arc::new(serving)));
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// Asks until `done`; 60 s at most.
pub(crate) async fn eventually<T, F: Future<Output = T>>(ask: impl Fn() -> F, done: impl Fn(&T) -> bool) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask().await;
        if done(&answer) || tokio::time::Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
