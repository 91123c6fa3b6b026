//! A Kubernetes API server with its etcd: real RBAC, CEL, admission policies, server-side apply, tokens. No node, no
//! scheduler, no controllers.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use data_encoding::{BASE64, HEXLOWER};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rcgen::KeyPair;
use sha2::{Digest, Sha256};

use crate::{
    files, ports,
    process::{Server, Spec},
    run::Folder,
    servers,
    tls::{self, Authority},
};

/// The issuer that nearly every cluster has, all of them the same: what tells clusters apart is the key.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// An API server is ready in 3 s on an idle machine; others may be compiling.
const READY: Duration = Duration::from_secs(120);
const ETCD_GRACE: Duration = Duration::from_secs(5);

/// Every write with what was written, but for what holds secrets; every read without.
const AUDIT_POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: Metadata
  verbs: [get, list, watch]
- level: Metadata
  resources:
  - {group: "", resources: [secrets, serviceaccounts/token]}
  - {group: authentication.k8s.io, resources: [tokenreviews]}
- level: Request
"#;

/// One cluster. It ends when this is dropped.
pub struct Cluster {
    name: String,
    api: Server,
    etcd: Server,
    etcd_url: String,
    port: u16,
    ca_pem: String,
    admin_token: String,
    kubelet_token: String,
    config: Config,
    http: reqwest::Client,
    uid: String,
    /// Last, so that the processes end before their folder goes.
    folder: Folder,
}

impl Cluster {
    /// Starts one and waits until it answers. The name shows in its kubeconfig and folder only.
    pub async fn start(name: &str) -> Result<Self> {
        crate::install_crypto();
        let folder = Folder::new(name, None)?;
        let etcd = etcd(folder.path()).await?;
        let etcd_url = etcd.1;
        let files = ServerFiles::write(folder.path(), name)?;
        let port = ports::free(LOOPBACK)?;
        let api = api_server(folder.path(), &etcd_url, port).await?;
        let config = config(&kubeconfig(name, port, &files.ca_pem, &files.admin_token)).await?;
        let http = tls::http_client(&files.ca_pem)?;
        let ServerFiles { ca_pem, admin_token, kubelet_token } = files;
        let (name, uid) = (name.to_owned(), String::new());
        let etcd = etcd.0;
        let mut cluster =
            Self { name, api, etcd, etcd_url, port, ca_pem, admin_token, kubelet_token, config, http, uid, folder };
        cluster.start_again().await?;
        cluster.uid = cluster.read_uid().await?;
        Ok(cluster)
    }

    /// Three at once: the hub, Keeper's side and Cooler's side.
    pub async fn start_three(names: [&str; 3]) -> Result<[Self; 3]> {
        let [a, b, c] = names.map(Self::start);
        let (a, b, c) = futures::try_join!(a, b, c)?;
        Ok([a, b, c])
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UID of the namespace `kube-system`: the cluster's identity.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Address of the API server.
    pub fn host(&self) -> IpAddr {
        LOOPBACK
    }

    /// Port of the API server, the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `https://host:port`.
    pub fn url(&self) -> String {
        format!("https://{LOOPBACK}:{}", self.port)
    }

    /// The authority of the API server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The bearer token of a member of `system:masters`.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Gives the API server a certificate of a new authority and starts it again: clients that believe the former
    /// authority alone are refused from then on. The data stay.
    pub async fn rotate_ca(&mut self) -> Result<()> {
        let authority = certify(self.folder.path(), &self.name)?;
        self.ca_pem = authority.pem().to_owned();
        self.http = tls::http_client(&self.ca_pem)?;
        self.config = config(&self.kubeconfig()).await?;
        self.stop().await;
        self.start_again().await
    }

    /// Kubeconfig (YAML) of a member of `system:masters`.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_for(&self.admin_token)
    }

    /// Kubeconfig (YAML) of whoever owns this bearer token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        kubeconfig(&self.name, self.port, &self.ca_pem, token)
    }

    /// A client with the admin's rights, for the async runtime that calls this.
    pub fn client(&self) -> Client {
        client(self.config.clone())
    }

    /// A client for whoever owns this bearer token.
    pub async fn client_for(&self, token: &str) -> Result<Client> {
        Ok(client(config(&self.kubeconfig_for(token)).await?))
    }

    /// A client with all rights under the name `kubelet`, so that its requests are told apart from a test's.
    pub(crate) async fn kubelet_client(&self) -> Result<Client> {
        self.client_for(&self.kubelet_token).await
    }

    /// Every request since the start in the order answered, as `audit.k8s.io/v1` Events: who (`user.username`), what
    /// (`verb`, `objectRef`), the outcome (`responseStatus.code`) and, for writes, the body (`requestObject`).
    pub fn requests(&self) -> Result<Vec<serde_json::Value>> {
        let log = files::read(&self.folder.path().join("audit.log"))?;
        // A line that is just being written has no end yet.
        let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        complete.lines().map(|line| serde_json::from_str(line).context("the audit log holds no JSON")).collect()
    }

    /// Kills the API server and stops etcd: connections are refused, the data stay.
    pub async fn stop(&self) {
        self.api.kill();
        self.etcd.stop(ETCD_GRACE).await;
    }

    /// Starts both with the same port and data, and waits until the API server answers.
    pub async fn start_again(&self) -> Result<()> {
        self.etcd.start()?;
        let health = format!("{}/health", self.etcd_url);
        self.etcd.ready(READY, || answers(&self.http, &health, None)).await?;
        self.api.start()?;
        let readyz = format!("{}/readyz", self.url());
        self.api.ready(READY, || answers(&self.http, &readyz, Some(&self.admin_token))).await
    }

    /// A blackhole: the API server accepts connections and never answers.
    pub fn pause(&self) {
        self.api.pause();
    }

    /// The end of the blackhole.
    pub fn resume(&self) {
        self.api.resume();
    }

    async fn read_uid(&self) -> Result<String> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let read = || async { namespaces.get("kube-system").await?.metadata.uid.context("it has no uid") };
        self.api.ready(READY, read).await
    }
}

fn client(config: Config) -> Client {
    Client::try_from(config).expect("a configuration with CA and token needs nothing that can be missing")
}

async fn config(kubeconfig: &str) -> Result<Config> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

async fn answers(http: &reqwest::Client, url: &str, token: Option<&str>) -> Result<()> {
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    let status = response.status();
    ensure!(status.is_success(), "{url} answers {status}: {}", response.text().await?);
    Ok(())
}

fn kubeconfig(name: &str, port: u16, ca_pem: &str, token: &str) -> String {
    let ca = BASE64.encode(ca_pem.as_bytes());
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: https://{LOOPBACK}:{port}
    certificate-authority-data: {ca}
users:
- name: user
  user:
    token: {token}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: user
current-context: {name}
"
    )
}

/// What the API server reads from files.
struct ServerFiles {
    ca_pem: String,
    admin_token: String,
    kubelet_token: String,
}

impl ServerFiles {
    fn write(folder: &Path, name: &str) -> Result<Self> {
        let authority = certify(folder, name)?;
        let service_accounts = KeyPair::generate()?;
        files::write_private(&folder.join("service-accounts.key"), service_accounts.serialize_pem())?;
        files::write_private(&folder.join("service-accounts.pub"), service_accounts.public_key_pem())?;
        files::write_private(&folder.join("audit.yaml"), AUDIT_POLICY)?;
        let (admin_token, kubelet_token) = (random_token()?, random_token()?);
        let tokens = format!(
            "{admin_token},admin,admin,\"system:masters\"\n{kubelet_token},kubelet,kubelet,\"system:masters\"\n"
        );
        files::write_private(&folder.join("tokens.csv"), tokens)?;
        Ok(Self { ca_pem: authority.pem().to_owned(), admin_token, kubelet_token })
    }
}

/// A new authority, and a certificate of it for the API server.
fn certify(folder: &Path, name: &str) -> Result<Authority> {
    let authority = Authority::new(&format!("{name} API server"))?;
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    let certificate = authority.issue(&names, &[LOOPBACK])?;
    files::write_private(&folder.join("api.crt"), certificate.certificate)?;
    files::write_private(&folder.join("api.key"), certificate.key)?;
    Ok(authority)
}

/// 256 unpredictable bits, from a key that is used for nothing else.
fn random_token() -> Result<String> {
    Ok(HEXLOWER.encode(&Sha256::digest(KeyPair::generate()?.serialize_der())))
}

async fn etcd(folder: &Path) -> Result<(Server, String)> {
    let client = format!("http://{LOOPBACK}:{}", ports::free(LOOPBACK)?);
    let peer = format!("http://{LOOPBACK}:{}", ports::free(LOOPBACK)?);
    let spec = Spec::new("etcd", servers::built("etcd").await?.join("etcd"), folder).args([
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // Only a crash of the whole machine loses what the kernel already has.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]);
    Ok((Server::new(spec), client))
}

async fn api_server(folder: &Path, etcd_url: &str, port: u16) -> Result<Server> {
    let binary = servers::built("kubernetes").await?.join("kube-apiserver");
    let file = |name: &str| folder.join(name).display().to_string();
    let spec = Spec::new("kube-apiserver", binary, folder).args([
        format!("--bind-address={LOOPBACK}"),
        format!("--secure-port={port}"),
        format!("--advertise-address={LOOPBACK}"),
        // A loopback address is not allowed in Endpoints, and nothing here routes to a Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--etcd-servers={etcd_url}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        // It would wait for ServiceAccounts that only a controller makes.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--audit-policy-file={}", file("audit.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
        "--audit-log-mode=blocking".to_owned(),
    ]);
    Ok(Server::new(spec))
}
