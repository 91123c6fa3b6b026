//! nats-server in operator mode: accounts are JWTs in a full resolver, pushed by a user that may do nothing else.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::ConnectOptions;
use natsauth::{AccountLimits, MAX_PAYLOAD_BYTES, Scope, UserName, account_claims, operator_claims, push_permissions};
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};

use crate::{
    Options, files, ports,
    process::{Server, Spec},
    run::Folder,
    servers,
    tls::Authority,
};

/// Name of the SYS user that pushes accounts; its inbox is `_INBOX.push.>`.
pub const PUSH_USER: &str = "push";

const READY: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(5);

/// A broker. It ends when this is dropped, unless it is detached.
pub struct Nats {
    state: State,
    ca_pem: String,
    server: Server,
    folder: Folder,
}

/// Kept in the folder, so that the broker is the same when found again.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    bind: IpAddr,
    port: u16,
    operator: String,
    operator_signing_seed: String,
    system_account: String,
    system_account_jwt: String,
    push_user_jwt: String,
    push_user_seed: String,
    detached: bool,
}

impl Nats {
    /// Starts a broker, or the one that lives in the folder given, and waits until it answers its push user.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = Folder::new("nats", options.folder.clone())?;
        if files::load_state::<State>(folder.path())?.is_none() {
            found(folder.path(), &options)?;
        }
        let nats = Self::load(folder).await?;
        let bind = nats.state.bind;
        ensure!(bind == options.bind, "{} was made for {bind}: remove it", nats.folder.path().display());
        nats.start_again().await?;
        Ok(nats)
    }

    /// The broker that lives in `folder`, running or not.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::load(Folder::new("nats", Some(folder.to_owned()))?).await
    }

    async fn load(folder: Folder) -> Result<Self> {
        crate::install_crypto();
        let state = files::load_state::<State>(folder.path())?;
        let state = state.with_context(|| format!("no broker lives in {}", folder.path().display()))?;
        let ca_pem = files::read(&folder.path().join("ca.crt"))?;
        let binary = servers::built("nats-server").await?.join("nats-server");
        let config = folder.path().join("nats.conf").display().to_string();
        let spec = Spec::new("nats-server", binary, folder.path()).args(["-c".to_owned(), config]);
        let server = Server::new(spec.detached(state.detached));
        Ok(Self { state, ca_pem, server, folder })
    }

    /// `tls://host:port`; clients speak TLS first.
    pub fn url(&self) -> String {
        format!("tls://{}:{}", self.state.bind, self.state.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.state.port
    }

    /// The authority of the broker's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same as a file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Seed (`SO...`) of the operator's signing key, which signs accounts.
    pub fn operator_signing_seed(&self) -> &str {
        &self.state.operator_signing_seed
    }

    /// The system account's public key (`A...`).
    pub fn system_account(&self) -> &str {
        &self.state.system_account
    }

    /// JWT of the push user: it may update and look up any account but the system account, and count servers.
    pub fn push_user_jwt(&self) -> &str {
        &self.state.push_user_jwt
    }

    /// Seed (`SU...`) of the push user.
    pub fn push_user_seed(&self) -> &str {
        &self.state.push_user_seed
    }

    /// JWT and seed of the push user as the text of a `.creds` file.
    pub fn push_user_creds(&self) -> String {
        creds(&self.state.push_user_jwt, &self.state.push_user_seed)
    }

    /// A connection as the push user.
    pub async fn push_client(&self) -> Result<async_nats::Client> {
        Ok(ConnectOptions::with_credentials(&self.push_user_creds())?
            .add_root_certificates(self.ca_file())
            .require_tls(true)
            .tls_first()
            .ignore_discovered_servers()
            .custom_inbox_prefix(format!("_INBOX.{PUSH_USER}"))
            .connection_timeout(Duration::from_secs(2))
            .connect(self.url())
            .await?)
    }

    /// Whether the process runs.
    pub fn runs(&self) -> bool {
        self.server.runs()
    }

    /// Ends the process; keys, accounts and port stay.
    pub async fn stop(&self) {
        self.server.stop(GRACE).await;
    }

    /// Starts it unless it runs, and waits until it answers.
    pub async fn start_again(&self) -> Result<()> {
        self.server.start()?;
        self.server.ready(READY, || self.answers()).await
    }

    /// A blackhole: accepts and never answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// The end of the blackhole.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// The server's output.
    pub fn log(&self) -> String {
        self.server.log()
    }

    async fn answers(&self) -> Result<()> {
        self.push_client().await?.request("$SYS.REQ.SERVER.PING.IDZ", "".into()).await?;
        Ok(())
    }
}

/// Makes keys, JWTs, certificate and configuration of a new broker.
fn found(folder: &Path, options: &Options) -> Result<()> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let (operator, signing) = (KeyPair::new_operator(), KeyPair::new_operator());
    let (system, push_key, push_user) = (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let system_account = system.public_key();

    let claims = operator_claims("harness", &operator.public_key(), &[signing.public_key()], &system_account, now);
    let operator_jwt = natsauth::encode(claims, &operator)?;
    let scope = Scope::new(&push_key.public_key(), PUSH_USER, push_permissions(&system_account));
    let (limits, revocations) = (AccountLimits::default(), BTreeMap::new());
    let claims = account_claims("SYS", &system_account, vec![scope], limits, revocations, now);
    // The operator's own key signs no account, not even this one.
    let system_account_jwt = natsauth::encode(claims, &signing)?;
    let name: UserName = PUSH_USER.parse()?;
    let claims = natsauth::user_claims(&name, &push_user.public_key(), &system_account, now, None);
    let push_user_jwt = natsauth::encode(claims, &push_key)?;

    let authority = Authority::new("harness NATS")?;
    let certificate = authority.issue(&["localhost"], &options.certificate_ips())?;
    files::write_private(&folder.join("ca.crt"), authority.pem())?;
    files::write_private(&folder.join("server.crt"), certificate.certificate)?;
    files::write_private(&folder.join("server.key"), certificate.key)?;

    let seed = |key: &KeyPair| key.seed().map_err(|error| anyhow!("a new key has no seed: {error}"));
    let state = State {
        bind: options.bind,
        port: ports::free(options.bind)?,
        operator: operator_jwt,
        operator_signing_seed: seed(&signing)?,
        system_account,
        system_account_jwt,
        push_user_jwt,
        push_user_seed: seed(&push_user)?,
        detached: options.detached,
    };
    files::write_private(&folder.join("nats.conf"), config(folder, &state))?;
    files::save_state(folder, &state)
}

fn config(folder: &Path, state: &State) -> String {
    let State { bind, port, operator, system_account, system_account_jwt, .. } = state;
    let folder = folder.display();
    // A server that was away asks the others for newer accounts at its first interval: 5 s instead of a minute.
    format!(
        r#"listen: "{bind}:{port}"
server_name: harness
max_payload: {MAX_PAYLOAD_BYTES}
operator: {operator}
system_account: {system_account}
resolver: {{type: full, dir: "{folder}/accounts", allow_delete: false, interval: "5s", timeout: "1.5s"}}
resolver_preload: {{{system_account}: {system_account_jwt}}}
tls: {{cert_file: "{folder}/server.crt", key_file: "{folder}/server.key", handshake_first: true}}
"#
    )
}

fn creds(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"
    )
}
