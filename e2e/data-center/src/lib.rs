//! A data centre for one signer, Keeper or Cooler: a real API server, Vault and broker, the ConfigMaps as admin and hub
//! write them, and the other signer in a small way ([`peer`]). For the tests of both signers' processes.
//!
//! [`Pair`] is both signers of one custody, each in a data centre of its own, and a sentinel beside them.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod pair;
mod peer;
mod sentinel;
mod shared;

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use custody::{
    Role,
    config::{HubLimits, MemberConfig, NatsConfig},
    identity::PeerKeys,
    local_policy::{AssetLimits, LocalPolicy},
    report::{Report, WorkloadState},
    trust::{CustodyTrust, KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use harness::{Options, cluster::Cluster, vault::Vault};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Namespace, ServiceAccount},
    rbac::v1::{Role as RbacRole, RoleBinding},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use protocol::envelope::OwnKeys;
use rand_core::OsRng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::{OnceCell, watch},
};
use transport::Caller;
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use peer::Peer;

pub use pair::Pair;
pub use sentinel::{LEASE, Sentinel, ask};
pub use shared::{Credentials, Custody};

/// The one chain of the local policy, CAIP-2.
pub const CHAIN: &str = "eip155:31337";
/// The one safe destination.
pub const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const PATIENCE: Duration = Duration::from_secs(90);

/// Servers, keys and documents of one signer. What its custody shares is reached through it.
pub struct Member {
    /// Its API server.
    pub cluster: Cluster,
    /// Its Vault.
    pub vault: Vault,
    /// Keys of the other signer, while it is only there in a small way.
    pub peer: Arc<OwnKeys>,
    custody: Arc<Custody>,
    role: Role,
    binary: PathBuf,
    other: OnceCell<Peer>,
    watching: OnceCell<Peer>,
    folder: tempfile::TempDir,
    listen: String,
}

/// The process; killed when dropped.
pub struct Process(Child);

impl Deref for Member {
    type Target = Custody;

    fn deref(&self) -> &Custody {
        &self.custody
    }
}

impl Member {
    /// Servers, rights and empty placeholders: what there is before anybody has decided anything. `binary` is the signer's.
    pub async fn start(role: Role, binary: impl AsRef<Path>) -> Self {
        Self::start_in(Arc::new(Custody::found().await), role, binary).await
    }

    /// The same for one of several signers of a custody.
    pub async fn start_in(custody: Arc<Custody>, role: Role, binary: impl AsRef<Path>) -> Self {
        let (cluster, vault) =
            (Cluster::start(&format!("dc-{role}")).await.unwrap(), Vault::start(Options::default()).await.unwrap());
        let port = harness::ports::free("127.0.0.1".parse().unwrap()).unwrap();
        let member = Self {
            cluster,
            vault,
            peer: Arc::new(OwnKeys::generate(&mut OsRng)),
            custody,
            role,
            binary: binary.as_ref().to_owned(),
            other: OnceCell::new(),
            watching: OnceCell::new(),
            folder: tempfile::tempdir().unwrap(),
            listen: format!("127.0.0.1:{port}"),
        };
        member.make_objects().await;
        member.project_tokens().await;
        member.set_up_vault().await;
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

    /// What `multisig member prepare` and `member approve` write, changed by `change`.
    pub async fn write_trust(&self, change: impl FnOnce(&mut Value)) {
        let eth = AssetLimits::new(CHAIN, "ETH", "native", 18, "1000");
        let peers = [(self.other_role(), &self.peer), (Role::App, &self.app)];
        let trust = MemberTrust {
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
            local_policy: Some(LocalPolicy::new(vec![eth])),
            keys: KeyProtection::Vault,
            images: Vec::new(),
        };
        let mut trust = serde_json::to_value(trust).unwrap();
        change(&mut trust);
        self.write_map("multisig-trust", "admin", json!({"trust.json": trust.to_string()})).await;
    }

    /// What the hub writes; `policy` is its policy.
    pub async fn write_config(&self, policy: Value) {
        self.write_config_with(policy, None).await;
    }

    /// The same, with a generation of the Vault key.
    pub async fn write_config_with(&self, policy: Value, vault_key_generation: Option<u64>) {
        let config = MemberConfig {
            custody_id: self.custody_id(),
            nats: NatsConfig { urls: vec![self.nats.url()], ca_bundle: self.nats.ca_pem().to_owned() },
            policy: serde_json::from_value::<HubLimits>(policy).unwrap(),
            vault_key_generation,
            proposed_peers: BTreeMap::new(),
        };
        let data = json!({"config.json": json!(config).to_string(), "manifest.json": self.signed.to_json()});
        self.write_map(&self.map("config"), "multisig-operator", data).await;
    }

    /// What the hub mints. From then on the other signer is there too: a signer alone would stay locked.
    pub async fn deliver_credentials(&self, nats_user: &str, generation: u64) {
        let identity = self.report_with(|report| report.identity.is_some()).await.identity.unwrap();
        self.other.get_or_init(|| Peer::start(self, self.other_role(), &self.peer, &identity.keys)).await;
        self.write_credentials(nats_user, generation).await;
    }

    async fn write_credentials(&self, nats_user: &str, generation: u64) {
        let user_jwt = self.user_jwt(self.role, nats_user);
        let credentials = custody::config::Credentials { generation, user_jwt };
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
    pub async fn state(&self, state: WorkloadState) -> Report {
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

    /// App's side of the broker.
    pub async fn app(&self, signer: &PeerKeys) -> Caller {
        self.caller(Role::App, &self.app, signer).await
    }

    /// The other signer's side.
    pub async fn other(&self, signer: &PeerKeys) -> Caller {
        self.caller(self.other_role(), &self.peer, signer).await
    }

    /// The sentinel's side; from then on it vouches too.
    pub async fn sentinel(&self, signer: &PeerKeys) -> Caller {
        self.watching.get_or_init(|| Peer::start(self, Role::Sentinel, &self.sentinel, signer)).await;
        self.caller(Role::Sentinel, &self.sentinel, signer).await
    }

    async fn caller(&self, role: Role, own: &Arc<OwnKeys>, signer: &PeerKeys) -> Caller {
        let party = self.party(role, own, &BTreeMap::from([(self.role, signer.clone())]));
        Caller::new(self.link(role).await, watch::channel(party).1, transport::Metrics::default())
    }

    /// Waits until the other signer holds the newest head: what is done from then on to the volume shows.
    pub async fn head_is_held(&self) {
        let head = self.exec(&["audit", "export"], "").await.stdout;
        let header: Value = serde_json::from_slice(head.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
        let count = header["head"]["count"].as_u64().unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.other.get().unwrap().holds().1 < count {
            assert!(tokio::time::Instant::now() < deadline, "record {count} is not held\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A copy of the signer's volume; the process must have ended.
    pub fn copy_volume(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = fs::read_dir(self.folder.path().join("data")).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    }

    /// Rolls the volume back to a copy.
    pub fn restore_volume(&self, copy: Vec<(PathBuf, Vec<u8>)>) {
        let folder = self.folder.path().join("data");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        copy.into_iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    }

    /// Waits until the present process is ready, whatever an earlier one has reported.
    pub async fn ready(&self) {
        let client = harness::tls::plain_client().unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = client.get(format!("http://{}/readyz", self.listen)).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => return,
                answer if tokio::time::Instant::now() > deadline => panic!("not ready: {answer:?}\n{}", self.log()),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The same as a file for an App in another language (`e2e/go-app`): private keys included.
    pub fn app_profile(&self, signer: &PeerKeys) -> PathBuf {
        let Credentials { nkey, jwt } = self.credentials(Role::App);
        let profile = json!({
            "url": self.nats.url(),
            "ca": self.nats.ca_file(),
            "jwt": jwt,
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
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id().unwrap()
    }

    /// Stops it in the middle of whatever it does; it holds its connections.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, as a power cut would; returns when it is gone.
    pub async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// SIGTERM, as the kubelet sends it; the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        tokio::time::timeout(PATIENCE, self.0.wait()).await.unwrap().unwrap().code()
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
