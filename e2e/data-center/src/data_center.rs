//! One data centre: its servers, what admin and hub write, what the signer reports, and who talks to it.

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use custody::{
    Role,
    config::{HubLimits, MemberConfig, NatsConfig},
    identity::PeerKeys,
    local_policy::LocalPolicy,
    report::{Report, WorkloadState},
    trust::{MemberTrust, VaultTrust},
};
use data_encoding::HEXLOWER;
use harness::{Options, cluster::Cluster, vault::Vault};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use protocol::envelope::{OwnKeys, Party};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};
use transport::Caller;

use crate::{
    peer::Peer,
    shared::{Credentials, Custody},
};

/// Longest wait for anything that the signer does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Servers, keys and documents of one signer. What its custody shares is reached through it.
pub struct Member {
    /// Its API server.
    pub cluster: Cluster,
    /// Its Vault.
    pub vault: Vault,
    /// Keys of the other signer, while it is only there in a small way.
    pub peer: Arc<OwnKeys>,
    pub(crate) custody: Arc<Custody>,
    pub(crate) role: Role,
    pub(crate) binary: PathBuf,
    other: OnceCell<Peer>,
    watching: OnceCell<Peer>,
    pub(crate) folder: tempfile::TempDir,
    /// Of its pages.
    pub(crate) listen: String,
}

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
    pub(crate) fn other_role(&self) -> Role {
        if self.role == Role::Keeper { Role::Cooler } else { Role::Keeper }
    }

    pub(crate) fn namespace(&self) -> String {
        format!("custody-{}", self.role)
    }

    /// Name of one of the signer's ConfigMaps.
    pub(crate) fn map(&self, kind: &str) -> String {
        format!("{}-{kind}", self.role)
    }

    pub(crate) fn client(&self) -> Client {
        self.cluster.client()
    }

    pub(crate) fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), &self.namespace())
    }

    /// What `multisig member prepare` and `member approve` write, changed by `change`.
    pub async fn write_trust(&self, change: impl FnOnce(&mut Value)) {
        let peers = [(self.other_role(), &self.peer), (Role::App, &self.app)];
        let trust = MemberTrust {
            data_center: "ber-1".to_owned(),
            vault: self.vault_trust(),
            peers: peers.map(|(role, keys)| (role, vec![keys.public().clone()])).into(),
            local_policy: Some(LocalPolicy::new(vec![custodies::eth("1000")])),
            ..self.trust(self.role)
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
            nats: NatsConfig { urls: vec![self.nats.url()], ca_bundle: self.nats.ca_pem().to_owned() },
            policy: serde_json::from_value::<HubLimits>(policy).unwrap(),
            vault_key_generation,
            ..self.config()
        };
        let data = json!({"config.json": json!(config).to_string(), "manifest.json": self.signed.to_json()});
        self.write_map(&self.map("config"), "multisig-operator", data).await;
    }

    /// What the hub mints. From then on the other signer is there too: a signer alone would stay locked.
    pub async fn deliver_credentials(&self, nats_user: &str, generation: u64) {
        let identity = self.report_with(|report| report.identity.is_some()).await.identity.unwrap();
        self.other.get_or_init(|| self.in_a_small_way(self.other_role(), &self.peer, &identity.keys)).await;
        self.write_credentials(nats_user, generation).await;
    }

    pub(crate) async fn write_credentials(&self, nats_user: &str, generation: u64) {
        let user_jwt = self.user_jwt(self.role, nats_user);
        let credentials = custody::config::Credentials { generation, user_jwt };
        let data = json!({"credentials.json": json!(credentials).to_string()});
        self.write_map(&self.map("credentials"), "multisig-operator", data).await;
    }

    /// Where its Vault is and how to log in.
    pub fn vault_trust(&self) -> VaultTrust {
        VaultTrust {
            address: self.vault.address(),
            ca_bundle: self.vault.ca_pem().to_owned(),
            auth_mount: "jwt-b".to_owned(),
            audience: "vault-b".to_owned(),
            key: format!("{}.{}", self.namespace(), self.role),
            ..custodies::vault(self.role)
        }
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
        self.watching.get_or_init(|| self.in_a_small_way(Role::Sentinel, &self.sentinel, signer)).await;
        self.caller(Role::Sentinel, &self.sentinel, signer).await
    }

    async fn caller(&self, role: Role, own: &Arc<OwnKeys>, signer: &PeerKeys) -> Caller {
        let party = self.believing(role, own, signer);
        Caller::new(self.link(role).await, watch::channel(party).1, transport::Metrics::default())
    }

    /// Somebody who holds the heads that this signer shows, and does nothing else.
    async fn in_a_small_way(&self, role: Role, own: &Arc<OwnKeys>, signer: &PeerKeys) -> Peer {
        Peer::start(self.link(role).await, self.believing(role, own, signer), signer).await
    }

    /// `role` with these keys, which believes this signer alone.
    fn believing(&self, role: Role, own: &Arc<OwnKeys>, signer: &PeerKeys) -> Party {
        self.party(role, own, &BTreeMap::from([(self.role, signer.clone())]))
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

    /// The signer's volume.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The token by which it logs in to its Vault.
    pub fn vault_token_file(&self) -> PathBuf {
        self.folder.path().join("vault/token")
    }

    /// A copy of the signer's volume; the process must have ended.
    pub fn copy_volume(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = fs::read_dir(self.data_dir()).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    }

    /// Rolls the volume back to a copy.
    pub fn restore_volume(&self, copy: Vec<(PathBuf, Vec<u8>)>) {
        let folder = self.data_dir();
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        copy.into_iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
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
