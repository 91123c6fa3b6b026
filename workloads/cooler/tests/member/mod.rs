//! A data centre for one Cooler: a real API server, Vault and broker, and the ConfigMaps as admin and hub write them.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use custody::{
    CustodyId, KeyRole, Role,
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
    trust::{AssetFloor, CustodyTrust, Floor, KeyProtection, Profile, SHAPE_VERSION, TrustBundle, VaultTrust},
    wiring::{Credentials, MemberConfig, NatsConfig, Policy, Report, State},
};
use data_encoding::BASE64URL_NOPAD;
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
use tokio::{process::Child, process::Command, sync::watch};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

pub(crate) const NAMESPACE: &str = "custody-cooler";
pub(crate) const CHAIN: &str = "eip155:31337";
pub(crate) const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Member {
    pub(crate) cluster: Cluster,
    pub(crate) vault: Vault,
    pub(crate) nats: Nats,
    pub(crate) cool: Phrase,
    pub(crate) keeper: Arc<OwnKeys>,
    pub(crate) app: Arc<OwnKeys>,
    signed: SignedManifest,
    account: KeyPair,
    role_keys: BTreeMap<Role, KeyPair>,
    folder: tempfile::TempDir,
    listen: String,
}

/// The process; killed when dropped.
pub(crate) struct Process(Child);

impl Member {
    /// Servers, rights and empty shells: what there is before anybody has decided anything.
    pub(crate) async fn start() -> Self {
        harness::install_crypto();
        let (cluster, vault, nats) = (
            Cluster::start("dc-b").await.unwrap(),
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
            keeper: Arc::new(OwnKeys::generate(&mut OsRng)),
            app: Arc::new(OwnKeys::generate(&mut OsRng)),
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
    pub(crate) async fn decide_everything(&self) {
        self.write_trust(|_| {}).await;
        self.write_config(json!({})).await;
        let report = self.report_with(|report| report.identity.is_some()).await;
        self.deliver_credentials(&report.identity.unwrap().nats_user, 1).await;
    }

    fn client(&self) -> Client {
        self.cluster.client()
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    async fn make_objects(&self) {
        let made = PostParams::default();
        let namespace = from(json!({"metadata": {"name": NAMESPACE}}));
        Api::<Namespace>::all(self.client()).create(&made, &namespace).await.unwrap();
        let account = from(json!({"metadata": {"name": "cooler"}}));
        Api::<ServiceAccount>::namespaced(self.client(), NAMESPACE).create(&made, &account).await.unwrap();
        let maps = ["multisig-trust", "cooler-config", "cooler-credentials", "cooler-report"];
        for name in &maps[1..] {
            self.maps().create(&made, &from(json!({"metadata": {"name": name}}))).await.unwrap();
        }
        let rules = json!([
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": maps, "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cooler-report"], "verbs": ["patch"]},
        ]);
        let role = from(json!({"metadata": {"name": "cooler"}, "rules": rules}));
        Api::<RbacRole>::namespaced(self.client(), NAMESPACE).create(&made, &role).await.unwrap();
        let binding = from(json!({
            "metadata": {"name": "cooler"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "cooler"},
            "subjects": [{"kind": "ServiceAccount", "name": "cooler", "namespace": NAMESPACE}],
        }));
        Api::<RoleBinding>::namespaced(self.client(), NAMESPACE).create(&made, &binding).await.unwrap();
    }

    /// What the kubelet does.
    async fn project_tokens(&self) {
        for (folder, audiences) in [("kube", vec![]), ("vault", vec!["vault-b".to_owned()])] {
            let spec = TokenRequestSpec { audiences, expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
            let request = TokenRequest { spec, ..TokenRequest::default() };
            let accounts = Api::<ServiceAccount>::namespaced(self.client(), NAMESPACE);
            let issued = accounts.create_token_request("cooler", &PostParams::default(), &request).await.unwrap();
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
            namespace: NAMESPACE.to_owned(),
            service_account: "cooler".to_owned(),
            role: "cooler".to_owned(),
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

    pub(crate) fn manifest(&self) -> VerifiedManifest {
        self.signed.verify().unwrap()
    }

    pub(crate) fn custody_id(&self) -> CustodyId {
        self.manifest().custody_id()
    }

    /// What `multisig member prepare` and `member approve` write, changed by `change`.
    pub(crate) async fn write_trust(&self, change: impl FnOnce(&mut Value)) {
        let eth = AssetFloor::new(CHAIN, "ETH", "native", 18, "1000");
        let peers = [(Role::Keeper, &self.keeper), (Role::App, &self.app)];
        let trust = TrustBundle {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role: Role::Cooler,
            data_center: "ber-1".to_owned(),
            vault: VaultTrust {
                address: self.vault.address(),
                ca_bundle: self.vault.ca_pem().to_owned(),
                auth_mount: "jwt-b".to_owned(),
                role: "cooler".to_owned(),
                audience: "vault-b".to_owned(),
                transit_mount: "transit-ms".to_owned(),
                key: format!("{NAMESPACE}.cooler"),
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
    pub(crate) async fn write_config(&self, policy: Value) {
        self.write_config_with(policy, None).await;
    }

    /// The same, with a generation of the Vault key.
    pub(crate) async fn write_config_with(&self, policy: Value, vault_key_generation: Option<u64>) {
        let config = MemberConfig {
            custody_id: self.custody_id(),
            nats: NatsConfig { urls: vec![self.nats.url()], ca_bundle: self.nats.ca_pem().to_owned() },
            policy: serde_json::from_value::<Policy>(policy).unwrap(),
            vault_key_generation,
            proposed_peers: BTreeMap::new(),
        };
        let data = json!({"config.json": json!(config).to_string(), "manifest.json": self.signed.to_json()});
        self.write_map("cooler-config", "multisig-operator", data).await;
    }

    /// What the hub mints.
    pub(crate) async fn deliver_credentials(&self, nats_user: &str, generation: u64) {
        let credentials = Credentials { generation, user_jwt: self.user_jwt(Role::Cooler, nats_user) };
        let data = json!({"credentials.json": json!(credentials).to_string()});
        self.write_map("cooler-credentials", "multisig-operator", data).await;
    }

    async fn write_map(&self, name: &str, manager: &str, data: Value) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        self.maps().patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(map)).await.unwrap();
    }

    pub(crate) async fn report(&self) -> Option<Report> {
        let data = self.maps().get("cooler-report").await.unwrap().data.unwrap_or_default();
        data.get("report.json").map(|text| serde_json::from_str(text).unwrap())
    }

    /// Waits until the report is as awaited.
    pub(crate) async fn report_with(&self, awaited: impl Fn(&Report) -> bool) -> Report {
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
    pub(crate) async fn state(&self, state: State) -> Report {
        self.report_with(|report| report.state == state).await
    }

    fn command(&self, words: &[&str]) -> Command {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cooler"));
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
    pub(crate) fn run(&self) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command(&["run", &format!("--listen={}", self.listen), "--namespace", NAMESPACE]);
        Process(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// A local command of the admin, as by `kubectl exec -i`.
    pub(crate) async fn exec(&self, words: &[&str], stdin: &str) -> Output {
        let input = self.folder.path().join("stdin");
        fs::write(&input, stdin).unwrap();
        let mut command = self.command(words);
        command.stdin(fs::File::open(input).unwrap()).output().await.unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) async fn http(&self, path: &str) -> (u16, String) {
        let client = harness::tls::plain_client().unwrap();
        let answer = client.get(format!("http://{}{path}", self.listen)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// App's side of the broker.
    pub(crate) async fn app(&self, cooler: &custody::trust::PeerKeys) -> Caller {
        let nkey = KeyPair::new_user();
        let (_, jwt) = watch::channel(self.user_jwt(Role::App, &nkey.public_key()));
        let link = Link::connect(link::Options {
            urls: vec![self.nats.url()],
            ca_pem: self.nats.ca_pem().to_owned(),
            custody: self.custody_id(),
            role: Role::App,
            nkey,
            jwt,
        });
        let link = link.await.unwrap();
        let peers = Peers::new(&BTreeMap::from([(Role::Cooler, vec![cooler.clone()])])).unwrap();
        let party = Party::new(self.custody_id(), Role::App, self.app.clone(), peers).unwrap();
        Caller::new(link, watch::channel(party).1, link::Metrics::default())
    }

    /// Requests of the signer to its API server, as (verb, ConfigMap).
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        let user = format!("system:serviceaccount:{NAMESPACE}:cooler");
        let own = |event: &Value| event["user"]["username"] == json!(user);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.cluster.requests().unwrap();
        events.iter().filter(|event| own(event)).map(|e| (text(&e["verb"]), text(&e["objectRef"]["name"]))).collect()
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id().unwrap()
    }

    /// SIGTERM, as the kubelet sends it; the exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
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
