//! A data centre for one signer, Keeper or Cooler: a real API server, Vault and broker, the ConfigMaps as admin and hub
//! write them, and the other signer in a small way ([`peer`]). For the tests of both signers' processes.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod peer;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use custody::{
    CustodyId, KeyRole, Role,
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
    trust::{
        AssetFloor, CustodyTrust, Floor, KeyProtection, PeerKeys, Profile, SHAPE_VERSION, TrustBundle, VaultTrust,
    },
    wiring::{Credentials, MemberConfig, NatsConfig, Policy, Report, State},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use harness::{Options, cluster::Cluster, nats::Nats, vault::Vault};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Namespace, ServiceAccount},
    rbac::v1::{Role as RbacRole, RoleBinding},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use link::{Caller, Link};
use natsauth::{AccountLimits, Scope, UserName, account_claims, role_permissions, user_claims};
use nkeys::KeyPair;
use protocol::envelope::{OwnKeys, Party, Peers};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::{OnceCell, watch},
};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use peer::Peer;

/// The one chain of the floor, CAIP-2.
pub const CHAIN: &str = "eip155:31337";
/// The one safe destination.
pub const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const PATIENCE: Duration = Duration::from_secs(90);

/// Servers, keys and documents of one signer.
pub struct Member {
    /// Its API server.
    pub cluster: Cluster,
    /// Its Vault.
    pub vault: Vault,
    /// The broker.
    pub nats: Nats,
    /// The custody's cool phrase.
    pub cool: Phrase,
    /// Keys of the other signer.
    pub peer: Arc<OwnKeys>,
    /// Keys of App.
    pub app: Arc<OwnKeys>,
    role: Role,
    binary: PathBuf,
    other: OnceCell<Peer>,
    signed: SignedManifest,
    account: KeyPair,
    role_keys: BTreeMap<Role, KeyPair>,
    folder: tempfile::TempDir,
    listen: String,
}

/// The process; killed when dropped.
pub struct Process(Child);

impl Member {
    /// Servers, rights and empty shells: what there is before anybody has decided anything. `binary` is the signer's.
    pub async fn start(role: Role, binary: impl AsRef<Path>) -> Self {
        harness::install_crypto();
        let (cluster, vault, nats) = (
            Cluster::start(&format!("dc-{role}")).await.unwrap(),
            Vault::start(Options::default()).await.unwrap(),
            Nats::start(Options::default()).await.unwrap(),
        );
        let (cool, signed) = ceremonies();
        let port = harness::ports::free("127.0.0.1".parse().unwrap()).unwrap();
        let member = Self {
            cluster,
            vault,
            nats,
            cool,
            peer: Arc::new(OwnKeys::generate(&mut OsRng)),
            app: Arc::new(OwnKeys::generate(&mut OsRng)),
            role,
            binary: binary.as_ref().to_owned(),
            other: OnceCell::new(),
            signed,
            account: KeyPair::new_account(),
            role_keys: Role::ALL.into_iter().map(|role| (role, KeyPair::new_account())).collect(),
            folder: tempfile::tempdir().unwrap(),
            listen: format!("127.0.0.1:{port}"),
        };
        member.make_objects().await;
        member.project_tokens().await;
        member.set_up_vault().await;
        member.push_account().await;
        member
    }

    /// Every decision made and delivered but the cool key.
    pub async fn decide_everything(&self) {
        self.write_trust(|_| {}).await;
        self.write_config(json!({})).await;
        let report = self.report_with(|report| report.identity.is_some()).await;
        self.deliver_credentials(&report.identity.unwrap().nats_user, 1).await;
    }

    /// The other signer.
    fn other_role(&self) -> Role {
        if self.role == Role::Keeper { Role::Cooler } else { Role::Keeper }
    }

    fn namespace(&self) -> String {
        format!("custody-{}", self.role)
    }

    /// Name of one of the signer's ConfigMaps.
    fn map(&self, kind: &str) -> String {
        format!("{}-{kind}", self.role)
    }

    fn client(&self) -> Client {
        self.cluster.client()
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), &self.namespace())
    }

    async fn make_objects(&self) {
        let (made, role, namespace) = (PostParams::default(), self.role, self.namespace());
        let object = from(json!({"metadata": {"name": namespace}}));
        Api::<Namespace>::all(self.client()).create(&made, &object).await.unwrap();
        let account = from(json!({"metadata": {"name": role}}));
        Api::<ServiceAccount>::namespaced(self.client(), &namespace).create(&made, &account).await.unwrap();
        let shells = ["config", "credentials", "report"].map(|kind| self.map(kind));
        for name in &shells {
            self.maps().create(&made, &from(json!({"metadata": {"name": name}}))).await.unwrap();
        }
        let readable = [&["multisig-trust".to_owned()][..], &shells].concat();
        let rules = json!([
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": readable, "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [self.map("report")], "verbs": ["patch"]},
        ]);
        let rights = from(json!({"metadata": {"name": role}, "rules": rules}));
        Api::<RbacRole>::namespaced(self.client(), &namespace).create(&made, &rights).await.unwrap();
        let binding = from(json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": namespace}],
        }));
        Api::<RoleBinding>::namespaced(self.client(), &namespace).create(&made, &binding).await.unwrap();
    }

    /// What the kubelet does.
    async fn project_tokens(&self) {
        for (folder, audiences) in [("kube", vec![]), ("vault", vec!["vault-b".to_owned()])] {
            let spec = TokenRequestSpec { audiences, expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
            let request = TokenRequest { spec, ..TokenRequest::default() };
            let accounts = Api::<ServiceAccount>::namespaced(self.client(), &self.namespace());
            let issued =
                accounts.create_token_request(self.role.as_str(), &PostParams::default(), &request).await.unwrap();
            let folder = self.folder.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("token"), issued.status.unwrap().token).unwrap();
        }
        fs::write(self.folder.path().join("kube/ca.crt"), self.cluster.ca_pem()).unwrap();
        fs::create_dir_all(self.folder.path().join("data")).unwrap();
    }

    async fn set_up_vault(&self) {
        let jwks = http::Request::get("/openid/v1/jwks").body(Vec::new()).unwrap();
        let jwks = self.client().request_text(jwks).await.unwrap();
        let token = fs::read_to_string(self.folder.path().join("vault/token")).unwrap();
        let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-b".to_owned(),
            jwks: Jwks::parse(&jwks).unwrap(),
            issuer: claims["iss"].as_str().unwrap().to_owned(),
            audience: "vault-b".to_owned(),
            namespace: self.namespace(),
            service_account: self.role.to_string(),
            role: self.role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.vault.address(), self.vault.ca_pem()).unwrap();
        let token = Zeroizing::new(self.vault.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token).unwrap(), &plan).await.unwrap();
    }

    async fn push_account(&self) {
        let scope = |(role, key): (&Role, &KeyPair)| {
            Scope::new(&key.public_key(), role.as_str(), role_permissions(self.custody_id(), *role))
        };
        let (public, scopes) = (self.account.public_key(), self.role_keys.iter().map(scope).collect());
        let claims = account_claims("custody", &public, scopes, AccountLimits::default(), BTreeMap::new(), now());
        let operator = KeyPair::from_seed(self.nats.operator_signing_seed()).unwrap();
        let jwt = natsauth::encode(claims, &operator).unwrap();
        let client = self.nats.push_client().await.unwrap();
        client.request(format!("$SYS.REQ.ACCOUNT.{public}.CLAIMS.UPDATE"), jwt.into()).await.unwrap();
    }

    fn user_jwt(&self, role: Role, nats_user: &str) -> String {
        let claims = user_claims(&UserName::from(role), nats_user, &self.account.public_key(), now(), None);
        natsauth::encode(claims, &self.role_keys[&role]).unwrap()
    }

    /// The custody's manifest.
    pub fn manifest(&self) -> VerifiedManifest {
        self.signed.verify().unwrap()
    }

    /// The custody.
    pub fn custody_id(&self) -> CustodyId {
        self.manifest().custody_id()
    }

    /// What `multisig member prepare` and `member approve` write, changed by `change`.
    pub async fn write_trust(&self, change: impl FnOnce(&mut Value)) {
        let eth = AssetFloor::new(CHAIN, "ETH", "native", 18, "1000");
        let peers = [(self.other_role(), &self.peer), (Role::App, &self.app)];
        let trust = TrustBundle {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role: self.role,
            data_center: "ber-1".to_owned(),
            vault: VaultTrust {
                address: self.vault.address(),
                ca_bundle: self.vault.ca_pem().to_owned(),
                auth_mount: "jwt-b".to_owned(),
                role: self.role.to_string(),
                audience: "vault-b".to_owned(),
                transit_mount: "transit-ms".to_owned(),
                key: format!("{}.{}", self.namespace(), self.role),
            },
            custody: Some(CustodyTrust { id: self.custody_id(), manifest_digest: self.manifest().digest() }),
            peers: peers.map(|(role, keys)| (role, vec![keys.public().clone()])).into(),
            floor: Some(Floor::new(vec![eth])),
            keys: KeyProtection::Vault,
            images: Vec::new(),
        };
        let mut trust = serde_json::to_value(trust).unwrap();
        change(&mut trust);
        self.write_map("multisig-trust", "admin", json!({"trust.json": trust.to_string()})).await;
    }

    /// What the hub writes; `policy` is its policy.
    pub async fn write_config(&self, policy: Value) {
        let config = MemberConfig {
            custody_id: self.custody_id(),
            nats: NatsConfig { urls: vec![self.nats.url()], ca_bundle: self.nats.ca_pem().to_owned() },
            policy: serde_json::from_value::<Policy>(policy).unwrap(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let data = json!({"config.json": json!(config).to_string(), "manifest.json": self.signed.to_json()});
        self.write_map(&self.map("config"), "multisig-operator", data).await;
    }

    /// What the hub mints. From then on the other signer is there too: a signer alone would stay locked.
    pub async fn deliver_credentials(&self, nats_user: &str, generation: u64) {
        let identity = self.report_with(|report| report.identity.is_some()).await.identity.unwrap();
        self.other.get_or_init(|| Peer::start(self, &identity.keys)).await;
        let credentials = Credentials { generation, user_jwt: self.user_jwt(self.role, nats_user) };
        let data = json!({"credentials.json": json!(credentials).to_string()});
        self.write_map(&self.map("credentials"), "multisig-operator", data).await;
    }

    async fn write_map(&self, name: &str, manager: &str, data: Value) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        self.maps().patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(map)).await.unwrap();
    }

    /// The report, once there is one.
    pub async fn report(&self) -> Option<Report> {
        let data = self.maps().get(&self.map("report")).await.unwrap().data.unwrap_or_default();
        data.get("report.json").map(|text| serde_json::from_str(text).unwrap())
    }

    /// Waits until the report is as awaited.
    pub async fn report_with(&self, awaited: impl Fn(&Report) -> bool) -> Report {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = self.report().await;
            match report {
                Some(report) if awaited(&report) => return report,
                report if tokio::time::Instant::now() > deadline => panic!("not awaited: {report:?}\n{}", self.log()),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Waits for a state.
    pub async fn state(&self, state: State) -> Report {
        self.report_with(|report| report.state == state).await
    }

    fn command(&self, words: &[&str]) -> Command {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(&self.binary);
        command
            .args(words)
            .arg(format!("--data-dir={}", place("data")))
            .arg(format!("--kube-dir={}", place("kube")))
            .arg(format!("--vault-token-file={}", place("vault/token")))
            .env_clear()
            .env("KUBERNETES_SERVICE_HOST", self.cluster.host().to_string())
            .env("KUBERNETES_SERVICE_PORT", self.cluster.port().to_string())
            .kill_on_drop(true);
        command
    }

    /// Starts the process as the pod does.
    pub fn run(&self) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command =
            self.command(&["run", &format!("--listen={}", self.listen), "--namespace", &self.namespace()]);
        Process(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// A local command of the admin, as by `kubectl exec -i`.
    pub async fn exec(&self, words: &[&str], stdin: &str) -> Output {
        let input = self.folder.path().join("stdin");
        fs::write(&input, stdin).unwrap();
        let mut command = self.command(words);
        command.stdin(fs::File::open(input).unwrap()).output().await.unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The process's output.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Status and text of one of its pages.
    pub async fn http(&self, path: &str) -> (u16, String) {
        let client = harness::tls::plain_client().unwrap();
        let answer = client.get(format!("http://{}{path}", self.listen)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A connection to the broker as `role`.
    async fn link(&self, role: Role) -> Link {
        let nkey = KeyPair::new_user();
        let (_, jwt) = watch::channel(self.user_jwt(role, &nkey.public_key()));
        let options = link::Options {
            urls: vec![self.nats.url()],
            ca_pem: self.nats.ca_pem().to_owned(),
            custody: self.custody_id(),
            role,
            nkey,
            jwt,
        };
        Link::connect(options).await.unwrap()
    }

    /// `role` with these keys, which believes the signer.
    fn party(&self, role: Role, own: &Arc<OwnKeys>, signer: &PeerKeys) -> watch::Receiver<Party> {
        let peers = Peers::new(&BTreeMap::from([(self.role, vec![signer.clone()])])).unwrap();
        watch::channel(Party::new(self.custody_id(), role, own.clone(), peers).unwrap()).1
    }

    /// App's side of the broker.
    pub async fn app(&self, signer: &PeerKeys) -> Caller {
        Caller::new(self.link(Role::App).await, self.party(Role::App, &self.app, signer), link::Metrics::default())
    }

    /// The same as a file for an App in another language (`e2e/second`): private keys included.
    pub fn app_profile(&self, signer: &PeerKeys) -> PathBuf {
        let nkey = KeyPair::new_user();
        let profile = json!({
            "url": self.nats.url(),
            "ca": self.nats.ca_file(),
            "jwt": self.user_jwt(Role::App, &nkey.public_key()),
            "nkeySeed": nkey.seed().unwrap(),
            "custodyId": HEXLOWER.encode(self.custody_id().as_bytes()),
            "messageSeed": HEXLOWER.encode(&*self.app.message_seed()),
            "xkeySeed": nkeys::XKey::new_from_raw(*self.app.xkey_seed()).seed().unwrap(),
            "signer": {"role": self.role, "messageKey": signer.message_key, "xkey": signer.xkey},
        });
        let path = self.folder.path().join("app.json");
        fs::write(&path, profile.to_string()).unwrap();
        path
    }

    /// Requests of the signer to its API server, as (verb, ConfigMap).
    pub fn requests(&self) -> Vec<(String, String)> {
        let user = format!("system:serviceaccount:{}:{}", self.namespace(), self.role);
        let own = |event: &Value| event["user"]["username"] == json!(user);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.cluster.requests().unwrap();
        events.iter().filter(|event| own(event)).map(|e| (text(&e["verb"]), text(&e["objectRef"]["name"]))).collect()
    }
}

impl Process {
    /// SIGKILL, as a power cut would; returns when it is gone.
    pub async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// SIGTERM, as the kubelet sends it; the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.0.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        tokio::time::timeout(PATIENCE, self.0.wait()).await.unwrap().unwrap().code()
    }
}

fn ceremonies() -> (Phrase, SignedManifest) {
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
    (cool, signed)
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
